"""What every OpenAPI document says about problems."""

from collections.abc import Mapping
from typing import Any

_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "A problem document (RFC 9457), in the caller's language.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "reason": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}

_TITLES = {
    400: "The request could not be read.",
    401: "A valid key or log-in is needed.",
    403: "This key may not do that.",
    404: "There is no such thing.",
    405: "This method is not allowed here.",
    409: "This conflicts with what is there.",
    410: "It was there and is over.",
    412: "If-Match names another version.",
    413: "The body is too large.",
    415: "The content type is not supported.",
    422: "A field is wrong: `errors` says which and why.",
    428: "An edit needs If-Match.",
    429: "Too many requests; see Retry-After.",
    503: "Nothing was accepted; see Retry-After.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation for these statuses."""
    return {
        status: {
            "description": _TITLES[status],
            "content": {"application/problem+json": {"schema": _PROBLEM_SCHEMA}},
        }
        for status in statuses
    }


PROBLEMS: dict[int | str, dict[str, Any]] = problems(
    400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428, 503
)
"""For operations that operators and shops call with a key."""


HTML, TEXT_FORM = "text/html", "application/x-www-form-urlencoded"


def page_operation(
    operation_id: str,
    summary: str,
    *,
    names: tuple[str, ...] = (),
    answers: Mapping[int, tuple[str, str | None]],
    refusals: tuple[int, ...],
    page_refusals: tuple[int, ...] = (),
    form: bool = False,
) -> dict[str, Any]:
    """An operation of a page or a link, which FastAPI does not see, for people who read the document.

    `names` stand in the path; `answers` are description and media type by status; of the problems that
    `refusals` name, `page_refusals` may also come as a page. `form`: it takes the fields of a form.
    """
    responses: dict[str, Any] = {}
    for status, (description, media_type) in answers.items():
        responses[str(status)] = {"description": description}
        if media_type is not None:
            responses[str(status)]["content"] = {media_type: {"schema": {"type": "string"}}}
    for number, refusal in problems(*refusals).items():
        if number in page_refusals:
            refusal["content"][HTML] = {"schema": {"type": "string"}}
        responses[str(number)] = refusal
    operation: dict[str, Any] = {
        "tags": ["pages"],
        "summary": summary,
        "operationId": operation_id,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ],
        "responses": responses,
    }
    if form:
        fields = {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}
        operation["requestBody"] = {"content": {TEXT_FORM: fields}}
    return operation
