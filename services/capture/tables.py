"""What every table of capture stands on."""

from sqlalchemy import MetaData
from sqlmodel import SQLModel

from services.shared.database import ground_tables

metadata = MetaData()
ground_tables(metadata)


class CaptureTable(SQLModel):
    """A row of capture's own database."""

    metadata = metadata
