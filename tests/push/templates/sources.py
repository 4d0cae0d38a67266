"""Templates for tests, and messages written out as a person would see them."""

from collections.abc import Mapping
from typing import Any

from services.push.channels.base import render
from services.push.deliveries.material import Piece
from services.push.templates.content import Compiled, ContentStore
from services.push.templates.spec import Source, TemplateSpec
from services.push.templates.variables import Variable

NAME = Variable("name", "text", None, "name")
VIP = Variable("vip", "boolean", False, "vip")
BORN = Variable("born", "date", None, "birthday")
POINTS = Variable("points", "number", 0, "points")
ALL = (NAME, VIP, BORN, POINTS)

ANN = {"name": "Ann", "vip": True, "birthday": "1990-01-02", "points": 12}


def spec(
    subject: str = "Hello",
    text: str | None = "Hello",
    html: str | None = None,
    *,
    variables: tuple[Variable, ...] = ALL,
    kind: str = "transactional",
    channel: str = "email",
    language: str = "en",
) -> TemplateSpec:
    """A template of one language."""
    return TemplateSpec(
        channel,  # type: ignore[arg-type]
        kind,  # type: ignore[arg-type]
        variables,
        language,  # type: ignore[arg-type]
        {language: Source(subject, text, html)},  # type: ignore[dict-item]
    )


def spec_of(part: str, source: str, *, kind: str = "transactional") -> TemplateSpec:
    """A template with this source as its subject, text or html."""
    parts: dict[str, Any] = {part: source}
    return spec(**parts, kind=kind)


def compile_(template: TemplateSpec, now: Any = lambda: 0.0) -> Compiled:
    """Compiled on a clock that stands still."""
    return ContentStore(now).compile(template, None, "test")


def written(piece: Piece) -> dict[str, str | None]:
    """The parts of a message, links as `<0>`, the pixel as `<open>`, unsubscribe as `<leave>`."""
    values: Mapping[str, str] = {
        **piece.values,
        **{f"link:{number}": f"<{number}>" for number in range(len(piece.links))},
        "open": "<open>",
        "unsubscribe": "<leave>",
    }
    content = piece.content
    return {
        "subject": render(content.subject, values),
        "text": render(content.text, values),
        "html": None if content.html is None else render(content.html, values),
    }


def message(template: TemplateSpec, fields: Mapping[str, Any] = ANN) -> dict[str, str | None]:
    """The parts of the message that a person with these fields gets."""
    return written(compile_(template).for_person({}, fields))
