"""What runs without being asked: consumers and background tasks, kept alive and watched."""
