"""The start page and the log-in."""
