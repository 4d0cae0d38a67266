"""What profile's lists and edits share: keyset cursors, versions in If-Match."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Query
from sqlalchemy import ColumnElement, and_, or_

from services.shared.clock import EPOCH, from_micros, to_micros
from services.shared.errors import FieldError, Invalid, PreconditionFailed, PreconditionRequired

PAGE = 50

After = Annotated[str | None, Query(max_length=80, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200)]

_LAST = from_micros(253_402_300_799_999_999)  # the last moment of the year 9999


def cursor_of(at: datetime, id_: UUID) -> str:
    """Where a list, newest first, goes on after this item."""
    raw = to_micros(at).to_bytes(8, "big", signed=True) + id_.bytes
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def older_than(cursor: str | None, at: Any, id_: Any) -> list[ColumnElement[bool]]:
    """The condition for what stands after a cursor, by its two columns; [] at the beginning.

    Raises `Invalid`.
    """
    if cursor is None:
        return []
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        moment = from_micros(int.from_bytes(raw[:8], "big", signed=True))
        last = UUID(bytes=raw[8:])
    except (ValueError, OverflowError, binascii.Error) as error:
        raise Invalid(fields=(FieldError("after", "invalid"),)) from error
    if not EPOCH <= moment <= _LAST:
        raise Invalid(fields=(FieldError("after", "invalid"),))
    return [at <= moment, or_(at < moment, and_(at == moment, id_ < last))]


async def _expected_version(
    if_match: Annotated[
        str | None, Header(description="The version that is changed, as ETag gave it; `*`: any.")
    ] = None,
) -> int | None:
    if if_match is None:
        raise PreconditionRequired
    text = if_match.strip()
    if text == "*":
        return None
    number = text.removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) <= 9):
        raise PreconditionFailed
    return int(number)


ExpectedVersion = Annotated[int | None, Depends(_expected_version)]
"""The version that If-Match names; None for `*`. Without the header: 428."""


def check_version(expected: int | None, found: int) -> None:
    """Raises `PreconditionFailed` when somebody else was faster."""
    if expected is not None and expected != found:
        raise PreconditionFailed
