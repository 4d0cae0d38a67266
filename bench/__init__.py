"""What measures speed and size: `make bench`. Every figure is a ratio to a reference of the same run."""
