"""The correlation id: one word that ties a request to the events and log lines that it led to."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

_current: ContextVar[str | None] = ContextVar("baitwell_correlation", default=None)


def current() -> str | None:
    """The correlation id of what is being done now, if any."""
    return _current.get()


def bind(correlation_id: str | None) -> "Token[str | None]":
    """Bind the correlation id until `unbind`: `correlated` for where a microsecond counts."""
    return _current.set(correlation_id)


def unbind(token: "Token[str | None]") -> None:
    """Undo a `bind`."""
    _current.reset(token)


@contextmanager
def correlated(correlation_id: str | None) -> Iterator[None]:
    """Bind the correlation id for the length of a block."""
    token = _current.set(correlation_id)
    try:
        yield
    finally:
        _current.reset(token)
