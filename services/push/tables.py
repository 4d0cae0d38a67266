"""The base of push's tables: every noun's models stand on it, `models.py` gathers them."""

from sqlalchemy import MetaData
from sqlmodel import SQLModel

from services.shared.database import ground_tables

metadata = MetaData()
ground_tables(metadata)


class PushTable(SQLModel):
    """A row of push's own database."""

    metadata = metadata
