"""The ledger: the only send queue, and the dispatchers that empty it."""
