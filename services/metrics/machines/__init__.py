"""Telling machines from people."""
