"""`make run-scaled`: a real Kafka, a real PostgreSQL, four services and a proxy on one machine, without Docker.

For development and for tests: one broker and one database, both on the loopback interface.
"""
