"""How processes are made: one with everything on SQLite, or one per service on PostgreSQL and Kafka."""
