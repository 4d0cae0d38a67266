"""The operator's pages of people."""
