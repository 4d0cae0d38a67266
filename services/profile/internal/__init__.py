"""What profile answers to the other services."""
