"""The frozen comparison programs. They change only with a reason in docs/decisions/."""
