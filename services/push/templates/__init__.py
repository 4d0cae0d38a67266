"""Templates: content for one channel, checked before use, compiled for sending."""
