"""What comes in about people, and what it does to their profiles: batches of events, one transaction each."""
