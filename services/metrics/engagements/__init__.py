"""What shops and call centres report, whom it is credited to, and when anything is counted."""
