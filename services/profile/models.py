"""The tables of profile."""

from sqlalchemy import MetaData

from services.shared.database import ground_tables

metadata = MetaData()
ground_tables(metadata)
