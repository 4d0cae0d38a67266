"""Raw events and the totals kept beside them."""
