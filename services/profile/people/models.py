"""The tables of people. Keys begin with the profile's id, which grows with time: new rows stand together."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Float, Index, String, text
from sqlmodel import Field

from services.profile.base import Table
from services.shared.database import Document, Moment

COMPARED = 200
"""How many characters of a text value are compared and indexed."""


class Profile(Table, table=True):
    """One person. `timezone` None: the installation's."""

    __tablename__ = "profiles"
    __table_args__ = (
        Index("profiles_by_creation", "created_at", "id"),
        {"sqlite_with_rowid": False},
    )

    id: UUID = Field(primary_key=True)
    revision: int
    language: str = Field(max_length=35)
    language_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    timezone: str | None = Field(default=None, max_length=64)
    lead_count: int = 0
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    changed_at: datetime = Field(sa_column=Column(Moment, nullable=False))


class ProfileContact(Table, table=True):
    """A contact, which belongs to one profile: the contact key is unique.

    `provenance` says where an operator has the right from to write to it.
    """

    __tablename__ = "contacts"
    __table_args__ = (
        Index("contacts_of_profile", "profile_id", "channel", "verified_at"),
        Index("contacts_by_channel", "channel", "verified_at", "profile_id"),
        {"sqlite_with_rowid": False},
    )

    contact_key: str = Field(primary_key=True, max_length=64)
    profile_id: UUID
    position: int
    channel: str = Field(max_length=16)
    account: str = Field(max_length=128)
    address: str = Field(max_length=320)
    identity: str = Field(max_length=320)
    abuse_key: str = Field(max_length=64)
    added_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    verified_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    provenance: str | None = Field(default=None, max_length=500)


class FieldValue(Table, table=True):
    """The latest value of a field from one source; `newest` marks the one that counts over all.

    `text_value` (folded, cut to `COMPARED` characters) and `number_value` are what segments compare: only
    the newest value has one of them.
    """

    __tablename__ = "field_values"
    __table_args__ = (
        Index(
            "field_values_by_text",
            "name",
            "text_value",
            "profile_id",
            sqlite_where=text("text_value IS NOT NULL"),
            postgresql_where=text("text_value IS NOT NULL"),
        ),
        Index(
            "field_values_by_number",
            "name",
            "number_value",
            "profile_id",
            sqlite_where=text("number_value IS NOT NULL"),
            postgresql_where=text("number_value IS NOT NULL"),
        ),
        {"sqlite_with_rowid": False},
    )

    profile_id: UUID = Field(primary_key=True)
    name: str = Field(primary_key=True, max_length=128)
    source: str = Field(primary_key=True, max_length=200)
    value: Any = Field(sa_column=Column(Document(), nullable=False))
    type: str = Field(max_length=16)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))
    newest: bool
    text_value: str | None = Field(default=None, sa_column=Column(String(COMPARED), nullable=True))
    number_value: float | None = Field(default=None, sa_column=Column(Float, nullable=True))


class Tag(Table, table=True):
    """A word that a bait, an import or a person put on a profile."""

    __tablename__ = "tags"
    __table_args__ = (
        Index("tags_by_word", "tag", "profile_id"),
        {"sqlite_with_rowid": False},
    )

    profile_id: UUID = Field(primary_key=True)
    tag: str = Field(primary_key=True, max_length=128)
    source: str = Field(max_length=200)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))


class MergeCandidate(Table, table=True):
    """Two profiles that one lead named together. `profile_id` got the lead."""

    __tablename__ = "merge_candidates"
    __table_args__ = (
        Index("merge_candidates_of_other", "other_id"),
        {"sqlite_with_rowid": False},
    )

    profile_id: UUID = Field(primary_key=True)
    other_id: UUID = Field(primary_key=True)
    lead_id: UUID
    at: datetime = Field(sa_column=Column(Moment, nullable=False))


class Word(Table, table=True):
    """What fields, tags and baits have been met, so that pages can offer them and rules know their types.

    `detail` is the type of a field and the id of a bait.
    """

    __tablename__ = "words"
    __table_args__ = ({"sqlite_with_rowid": False},)

    kind: str = Field(primary_key=True, max_length=8)
    word: str = Field(primary_key=True, max_length=128)
    detail: str = Field(max_length=128)
