"""API keys, operator sessions and who may do what: one small store that every service reads."""
