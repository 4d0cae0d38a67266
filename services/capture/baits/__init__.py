"""Baits: what is offered, with its form and its release rule."""
