"""The database port's small parts; what both databases do is in tests/contract/database."""
