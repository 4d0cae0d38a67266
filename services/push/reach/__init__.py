"""Whom push may reach: its own view of profiles, consents and withdrawals."""
