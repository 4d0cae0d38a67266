"""The sandbox in which templates run: Jinja's immutable one, with everything closed that a template of
declared scalars does not need. `syntax.py` refuses the same things when a template is saved; this is the
second wall, should a hole be found in the first.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NoReturn

from jinja2 import StrictUndefined, Template, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.filters import do_default
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.push.templates.variables import dated, shown

MAX_OUTPUT = 512 * 1024
"""The most characters that one part of one message may have."""

MAX_SECONDS = 0.25
"""The longest that rendering one part may take."""

_DIRECTIVES = re.compile(r"%(.)")
_DIRECTIVE: dict[str, Callable[[date], str]] = {
    "Y": lambda day: f"{day.year:04}",
    "m": lambda day: f"{day.month:02}",
    "d": lambda day: f"{day.day:02}",
    "%": lambda _day: "%",
}


class RenderFailed(Exception):
    """The template can't be rendered with these values; the message names no value."""


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """No globals, no calls, no attributes, no items, no arithmetic; six filters and one test."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)
    intercepted_unops = frozenset(ImmutableSandboxedEnvironment.default_unop_table)

    def __init__(self, language: str) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,  # values are escaped when they are written into their holes
            keep_trailing_newline=True,
            optimized=False,  # the optimizer computes constants while it compiles
            cache_size=0,
            finalize=lambda value: _finalized(value, language),
        )
        self.globals.clear()
        self.filters = {
            "default": do_default,
            "upper": lambda value: _scalar(value, language).upper(),
            "lower": lambda value: _scalar(value, language).lower(),
            "trim": lambda value: _scalar(value, language).strip(),
            "truncate": lambda value, length, end="…": _truncated(
                _scalar(value, language), length, end
            ),
            "date": lambda value, pattern=None: _date(value, pattern, language),
        }
        self.tests = {"defined": self.tests["defined"]}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002
        return False

    def is_safe_callable(self, obj: Any) -> bool:  # noqa: ARG002
        return False

    def getattr(self, obj: Any, attribute: str) -> NoReturn:  # noqa: ARG002
        raise SecurityError("a template may not look into values")

    def getitem(self, obj: Any, argument: Any) -> NoReturn:  # noqa: ARG002
        raise SecurityError("a template may not look into values")

    def call(self, *_args: Any, **_options: Any) -> NoReturn:
        raise SecurityError("a template may not call anything")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> NoReturn:  # noqa: ARG002
        raise SecurityError("a template may not calculate")

    def call_unop(self, context: Any, operator: str, arg: Any) -> NoReturn:  # noqa: ARG002
        raise SecurityError("a template may not calculate")

    def made(self, tree: nodes.Template) -> Template:
        """A renderable template from a checked syntax tree."""
        tree.set_environment(self)
        code = self.compile(tree)
        return self.template_class.from_code(self, code, {}, None)


def rendered(template: Template, values: Mapping[str, Any], now: Callable[[], float]) -> str:
    """Render within the limits of size and time; `now` is a monotonic clock. Raises `RenderFailed`."""
    size, deadline = 0, now() + MAX_SECONDS
    pieces: list[str] = []
    try:
        for piece in template.generate(**values):
            size += len(piece)
            if size > MAX_OUTPUT:
                raise RenderFailed("too much output")
            if now() > deadline:
                raise RenderFailed("took too long")
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise RenderFailed(type(error).__name__) from error
    return "".join(pieces)


def _finalized(value: Any, language: str) -> Any:
    if isinstance(value, str | bool | int | float | date):
        return shown(value, language)
    return value  # undefined: its text raises


def _scalar(value: Any, language: str) -> str:
    if not isinstance(value, str | bool | int | float | date):
        return str(value)  # undefined: this raises
    return shown(value, language)


def _truncated(text: str, length: Any, end: Any) -> str:
    if not isinstance(length, int) or not 1 <= length <= 1000 or not isinstance(end, str):
        raise ValueError("truncate needs a length of 1 to 1000")
    return text if len(text) <= length else text[:length].rstrip() + end[:10]


def _date(value: Any, pattern: str | None, language: str) -> str:
    if not isinstance(value, date):
        raise (
            TypeError("date needs a date")
            if isinstance(value, str | int)
            else ValueError(str(value))
        )
    if pattern is None:
        return dated(value, language)
    return _DIRECTIVES.sub(lambda found: _DIRECTIVE[found[1]](value), pattern)
