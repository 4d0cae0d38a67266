"""`POST /v1/engagements`: what shops and call centres report."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError

from services.metrics.engagements.schemas import REPORT, REPORTS, Receipt, Report
from services.metrics.engagements.service import ReportDesk, Retry
from services.shared.auth.access import ReportCaller
from services.shared.errors import FieldError, Invalid, Unavailable
from services.shared.web.body import check_json_type, field_errors, strict_json
from services.shared.web.openapi import problems

_KEY_LENGTH = 255

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/Report"},
                        {
                            "type": "array",
                            "items": {"$ref": "#/components/schemas/Report"},
                            "minItems": 1,
                            "maxItems": 1000,
                        },
                    ]
                }
            }
        },
    },
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "A word of your own: a repeat with it gets the same answer for 7 days.",
            "schema": {"type": "string", "minLength": 1, "maxLength": _KEY_LENGTH},
        }
    ],
}


def router(desk: ReportDesk, outbox_limit: int) -> APIRouter:
    """The router over one desk."""
    routes = APIRouter(tags=["engagements"])

    @routes.post(
        "/v1/engagements",
        operation_id="report_engagements",
        summary="Report inquiries, orders, refunds and people who left",
        description="One report, or a list of up to 1,000, taken whole or not at all. "
        "Accepted means durable; it is credited and counted within seconds.",
        status_code=202,
        response_model=Receipt,
        responses=problems(400, 401, 403, 413, 415, 422, 503),
        openapi_extra=_BODY,
    )
    async def report(request: Request, caller: ReportCaller) -> Receipt:
        if request.app.state.engine.gauges.outbox.depth >= outbox_limit:
            raise Unavailable(retry_after=10)
        body = await request.body()
        check_json_type(request.headers.get("content-type", ""))
        reports, single = _parse(body)
        key = request.headers.get("idempotency-key")
        retry = None if key is None else Retry(caller.key_id, _word(key), body)
        return await desk.take(reports, single, retry)

    return routes


def _parse(body: bytes) -> tuple[list[Report], bool]:
    value = strict_json(body)
    try:
        if isinstance(value, list):
            return REPORTS.validate_python(value), False
        return [REPORT.validate_python(value)], True
    except ValidationError as error:
        raise Invalid(fields=field_errors(error)) from error


def _word(key: str) -> str:
    """The key, with or without the quotes of a structured field. Raises `Invalid`."""
    word = key.strip()
    if len(word) >= 2 and word[0] == word[-1] == '"':
        word = word[1:-1]
    if not word or len(word) > _KEY_LENGTH or not word.isprintable():
        raise Invalid(fields=(FieldError("Idempotency-Key", "invalid"),))
    return word


def with_report_schema(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the schema of a report, which FastAPI does not see."""
    schema = Report.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(schema.pop("$defs", {}))
    schemas["Report"] = schema
    return document
