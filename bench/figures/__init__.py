"""One module per group of figures; each function measures one run and returns what it found."""
