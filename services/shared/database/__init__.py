"""The database port: one form of work for SQLite and PostgreSQL."""

from services.shared.database.base import Database, Work
from services.shared.database.types import Document, Moment, ground_tables

__all__ = ["Database", "Document", "Moment", "Work", "ground_tables"]
