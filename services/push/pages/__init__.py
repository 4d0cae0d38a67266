"""The operator pages of push."""
