"""The state that a release left behind (R16): how it is made (`making`), and how it is laid out again (`laying`)."""
