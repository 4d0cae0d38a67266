"""The timeline: what happened with a person, in order of time."""
