"""How Baitwell is run beyond one process."""
