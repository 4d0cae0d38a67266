"""Outgoing HTTP: calls between services, with deadlines."""
