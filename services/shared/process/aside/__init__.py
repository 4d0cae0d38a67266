"""A process beside the one process, for work that would keep it from answering people (decision 0010)."""
