"""A seeded simulation of log, outbox, positions and group commit, with a crash at any await and any commit.

Everything is the product's own code: the embedded log, SQLite files, relay, consumer runner, group commit.
One loop runs it in one thread under a virtual clock, so a seed always gives the same run. Actors are
services in small; another one is added by implementing `actors.Actor`.
"""
