"""Files: uploads, each stored once under its SHA-256, and the names they are given back with."""
