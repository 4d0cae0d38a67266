"""Leads: one submission each, whichever way it came."""
