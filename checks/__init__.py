"""What `make check` runs: each rule of the project is held by a program, never by prose alone.

A check is a function from the root of a checkout to a list of complaints; none means that it holds.
"""
