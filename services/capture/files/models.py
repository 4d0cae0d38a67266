"""Tables of uploaded files: each stored once under its SHA-256, in pieces that are short to read."""

from datetime import datetime

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field

from services.capture.tables import CaptureTable
from services.shared.database import Moment


class Resource(CaptureTable, table=True):
    """A stored file. Not complete: an upload is under way, or ended in the middle."""

    __tablename__ = "resources"

    sha256: str = Field(primary_key=True, max_length=64)
    size: int
    complete: bool
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))


class ResourcePiece(CaptureTable, table=True):
    """A piece of a stored file, by its number from 0."""

    __tablename__ = "resource_pieces"

    sha256: str = Field(primary_key=True, max_length=64)
    number: int = Field(primary_key=True)
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
