"""Campaigns: a segment, a template and a time; the plan of who gets it."""
