"""Servers that swallow messages as fast as they come, or misbehave on command."""
