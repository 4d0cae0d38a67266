"""The real components that tests run against: where each is found, how it is started and stopped.

Each module tells by `missing()` whether its component can be had on this machine. `gate` turns an absent
one into a skip with a way to enable it, and with `CI=true` into a failure.
"""
