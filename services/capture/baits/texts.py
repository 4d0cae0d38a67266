"""Texts of operators as pydantic types: one line, or paragraphs, without hidden characters."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from services.capture.text import plain

_NO_BOUND = 1_000_000  # the length is said by StringConstraints, where the API documents show it


def _line(value: str) -> str:
    return plain(value, _NO_BOUND)


def _name(value: str) -> str:
    text = plain(value, _NO_BOUND)
    if not text:
        raise ValueError("required")
    return text


def _paragraphs(value: str) -> str:
    return plain(value, _NO_BOUND, lines=True)


Word = Annotated[str, StringConstraints(min_length=1, max_length=60), AfterValidator(_name)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_name)]
Greeting = Annotated[str, StringConstraints(max_length=80), AfterValidator(_line)]
Description = Annotated[str, StringConstraints(max_length=5_000), AfterValidator(_paragraphs)]
LongText = Annotated[
    str, StringConstraints(min_length=1, max_length=20_000), AfterValidator(_paragraphs)
]
ConsentWords = Annotated[
    str, StringConstraints(min_length=1, max_length=2_000), AfterValidator(_name)
]
