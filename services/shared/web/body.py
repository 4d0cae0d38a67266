"""Strict JSON bodies: malformed text, repeated names, NUL and half surrogates are refused."""

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from services.shared.errors import FieldError, Invalid, UnsupportedMedia

T = TypeVar("T")

_REASONS = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
    "too_long": "too_long",
    "too_short": "too_short",
    "string_type": "not_text",
    "int_type": "not_integer",
    "int_parsing": "not_integer",
    "bool_type": "not_boolean",
    "bool_parsing": "not_boolean",
    "url_parsing": "not_url",
    "url_scheme": "not_url",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "greater_than": "out_of_range",
    "less_than": "out_of_range",
}


def field_errors(error: ValidationError | list[Any]) -> tuple[FieldError, ...]:
    """What pydantic found, as our field errors: names and reasons, never the values."""
    found = error.errors() if isinstance(error, ValidationError) else error
    return tuple(_field_error(item) for item in found[:50])


def _field_error(item: Any) -> FieldError:
    parts = [str(part) for part in item["loc"] if part not in ("body", "query", "path", "header")]
    name = ".".join(parts)[:200] or "body"
    kind = item["type"]
    if kind == "value_error":
        return FieldError(name, _own_reason(item))
    reason = _REASONS.get(kind)
    if reason is None:
        reason = "wrong_type" if kind.endswith(("_type", "_parsing")) else "invalid"
    return FieldError(name, reason)


def _own_reason(item: Any) -> str:
    """The reason that one of our validators raised as `ValueError(reason)`."""
    from services.shared.reasons import REASONS

    reason = str(item.get("ctx", {}).get("error", ""))
    return reason if reason in REASONS else "invalid"


def strict_json(body: bytes) -> Any:
    """The value of a JSON text. Raises `Invalid` for anything that two readers could read differently."""
    try:
        text = body.decode("utf-8")
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise Invalid(fields=(FieldError("body", "invalid"),)) from error
    except ValueError as error:
        raise Invalid(
            ("内容不是有效的 JSON。", "The body is not valid JSON."),
            fields=(FieldError("body", "invalid"),),
        ) from error
    if "\\u0000" in text or "\\ud" in text.lower():
        _check_text(value)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(fields=(FieldError(twice[:200], "repeated_field"),))
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _finite(text: str) -> float:
    """A number that other readers of JSON have, too: `1e999` is none."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("out of range")
    return number


# made once: `json.loads` makes one each time that it is called with hooks
_DECODER = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite
)


def _check_text(value: Any) -> None:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if "\x00" in item or any("\ud800" <= letter <= "\udfff" for letter in item):
                raise Invalid(fields=(FieldError("body", "forbidden_characters"),))
        elif isinstance(item, dict):
            pending += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            pending += item


def check_json_type(content_type: str) -> None:
    """Raises `UnsupportedMedia` unless the type is JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not (
        kind.startswith("application/") and kind.endswith("+json")
    ):
        raise UnsupportedMedia(("请使用 application/json。", "Send application/json."))


async def read_json(request: Request, adapter: TypeAdapter[T]) -> T:
    """The request's body, strictly read and validated; for Starlette routes. Raises `Invalid`."""
    check_json_type(request.headers.get("content-type", ""))
    value = strict_json(await request.body())
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise Invalid(fields=field_errors(error)) from error


class _StrictRequest(Request):
    async def json(self) -> Any:
        return strict_json(await self.body())


class StrictRoute(APIRoute):
    """A FastAPI route whose JSON bodies are read strictly: `APIRouter(route_class=StrictRoute)`.

    A body of another type than JSON is refused, unless the endpoint asks for a form.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        wants_json = self.body_field is not None and not isinstance(
            self.body_field.field_info, Form
        )

        async def strict(request: Request) -> Response:
            reading = _StrictRequest(request.scope, request.receive)
            if wants_json and await reading.body():
                check_json_type(request.headers.get("content-type", ""))
            return await handler(reading)

        return strict
