"""The data maker: an installation's past, written straight into its databases. The same seed makes the same.

`profiles` makes people in Python; what push and metrics know of them, and what they did with 200 campaigns, follows
from that by SQL (`reach`, `ledger`, `counts`). `leads` are people to come, as events.
"""
