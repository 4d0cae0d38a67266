"""Capture: baits, the ways to leave a contact, and the resources given in return."""
