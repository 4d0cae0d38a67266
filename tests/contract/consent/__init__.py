"""Profile and push say the same of who may be written to."""
