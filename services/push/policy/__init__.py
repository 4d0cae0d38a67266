"""Whether a message may go out now: asked for each one in the transaction that marks it `sending`."""
