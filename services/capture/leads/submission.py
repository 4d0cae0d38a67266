"""A submission as every way in hands it over: read, but not yet held against the bait's form."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from uuid import UUID

from services.capture.text import BadText, plain

Way = Literal["page", "form", "script", "api"]

_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
_SOURCE = (*_UTM, "referrer", "landing_page")
_USUAL = 600
"""Letters of a source that is worth remembering."""
_LONGEST_UTM = 200
_LONGEST_URL = 500
NO_SOURCE: Mapping[str, str] = MappingProxyType({})
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Once(NamedTuple):
    """What makes a repeated request the same request: keyed hashes of its key and of its body."""

    key: str
    body_hash: str


class Submission(NamedTuple):
    """What somebody left. Values are as they came: text from forms, JSON values from JSON."""

    way: Way
    contacts: Mapping[str, str]
    fields: Mapping[str, Any] = _NOTHING
    consents: Mapping[str, Any] = _NOTHING
    source: Mapping[str, str] = NO_SOURCE
    language: str | None = None
    form_version: int | None = None
    ip: str | None = None
    once: Once | None = None


class Accepted(NamedTuple):
    """The answer to a submission: durable when it is given."""

    lead_id: UUID
    state: str
    text: str
    """The answer as JSON, the same bytes for every repeat."""


def source_of(values: Mapping[str, str | None]) -> Mapping[str, str]:
    """Where a lead came from. What can't be a name or an address is left out, never refused."""
    if not any(values.values()):
        return NO_SOURCE
    given = tuple([values.get(name) for name in _SOURCE])
    usual = sum(map(len, filter(None, given))) < _USUAL
    return _kept_source(given) if usual else _source_of(given)


def _source_of(values: tuple[str | None, ...]) -> Mapping[str, str]:
    """The same for the values of `_SOURCE`: many leads come from the same place."""
    found: dict[str, str] = {}
    for name, value in zip(_SOURCE, values, strict=True):
        text = _name(value) if name in _UTM else page_address(value)
        if text:
            found[name] = text
    return MappingProxyType(found)


_kept_source = lru_cache(maxsize=256)(_source_of)


def _name(value: str | None) -> str | None:
    if not value:
        return None
    try:
        return plain(value[:_LONGEST_UTM], _LONGEST_UTM)
    except BadText:
        return None


def page_address(value: str | None) -> str | None:
    """An http address without query, fragment and credentials, which may be personal."""
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        return None
    scheme, separator, rest = value.split("#", 1)[0].split("?", 1)[0].partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return None
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2].lower()
    if not host:
        return None
    return f"{scheme.lower()}://{host}{slash}{path}"[:_LONGEST_URL]
