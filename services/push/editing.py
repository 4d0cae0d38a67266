"""What the lists and edits of push's resources share: versions in If-Match, keyset cursors."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header
from sqlalchemy import ColumnElement, and_, or_

from services.shared.clock import from_micros, to_micros
from services.shared.errors import FieldError, Invalid, PreconditionFailed, PreconditionRequired

PAGE = 50
MOST = 100


async def _expected_version(
    if_match: Annotated[
        str | None, Header(description="The ETag of the version that is edited")
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


def etag(version: int) -> str:
    """A version as an ETag."""
    return f'"{version}"'


def cursor_of(at: datetime, id_: UUID) -> str:
    """Where a list, newest first, goes on after this item."""
    raw = to_micros(at).to_bytes(8, "big", signed=True) + id_.bytes
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def after(cursor: str | None, at: Any, id_: Any) -> ColumnElement[bool] | None:
    """The condition for what stands after a cursor, by its two columns. Raises `Invalid`."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        moment = from_micros(int.from_bytes(raw[:8], "big", signed=True))
        last = UUID(bytes=raw[8:])
    except (ValueError, OverflowError, binascii.Error) as error:
        raise Invalid(fields=(FieldError("cursor", "invalid"),)) from error
    return or_(at < moment, and_(at == moment, id_ < last))
