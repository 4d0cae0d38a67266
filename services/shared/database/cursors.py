"""Keyset cursors: where a list, newest first, goes on. Opaque to callers; no offset, nothing is skipped."""

import base64
import binascii
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_

from services.shared.clock import EPOCH, from_micros, to_micros
from services.shared.errors import FieldError, Invalid

_LAST = from_micros(253_402_300_799_999_999)  # the last moment of the year 9999


def cursor_of(at: datetime, id_: UUID) -> str:
    """Where a list, newest first, goes on after this item."""
    raw = to_micros(at).to_bytes(8, "big", signed=True) + id_.bytes
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def after(
    cursor: str | None, at: Any, id_: Any, *, name: str = "cursor"
) -> list[ColumnElement[bool]]:
    """The conditions for what stands after a cursor, by its two columns; [] at the beginning.

    `name` is what the caller's parameter is called. Raises `Invalid`.
    """
    if cursor is None:
        return []
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        moment = from_micros(int.from_bytes(raw[:8], "big", signed=True))
        last = UUID(bytes=raw[8:])
    except (ValueError, OverflowError, binascii.Error) as error:
        raise Invalid(fields=(FieldError(name, "invalid"),)) from error
    if not EPOCH <= moment <= _LAST:
        raise Invalid(fields=(FieldError(name, "invalid"),))
    # said twice, so that an index by time finds the beginning
    return [at <= moment, or_(at < moment, and_(at == moment, id_ < last))]
