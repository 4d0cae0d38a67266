"""Edits name the version that they change: If-Match in, ETag out."""

from typing import Annotated

from fastapi import Depends, Header

from services.shared.errors import PreconditionFailed, PreconditionRequired


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


def etag(version: int) -> str:
    """A version as an ETag."""
    return f'"{version}"'
