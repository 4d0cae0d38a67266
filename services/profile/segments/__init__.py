"""Segments: named rules over people, compiled to SQL with bound parameters."""
