"""The cases of `make chaos`, by the ids of the reliability table (R1 …): a module each."""
