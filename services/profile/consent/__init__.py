"""Consent: what each person agreed to, its present state and its proofs."""
