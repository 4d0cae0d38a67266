"""What every OpenAPI document says about problems."""

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
