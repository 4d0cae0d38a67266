"""Baitwell: permission-based marketing as four small services over one event log."""
