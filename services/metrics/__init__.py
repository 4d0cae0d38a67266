"""Metrics: what people did with what they got; the funnel."""
