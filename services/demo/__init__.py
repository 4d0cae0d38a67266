"""The demonstration: a week of a small company, lived in a minute through the public API."""
