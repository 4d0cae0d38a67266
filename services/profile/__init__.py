"""Profile: who the people are, what they agreed to, and the segments they are in."""
