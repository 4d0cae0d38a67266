"""`POST /v1/baits/{slug}/leads`: the way in for scripts and programs, and the fastest one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.capture.baits.live import BaitShelf, LiveBait
from services.capture.baits.service import Delivery
from services.capture.leads.cors import PREFLIGHT, Origins
from services.capture.leads.schemas import LeadAccepted, LeadBody, LeadSource
from services.capture.leads.service import LeadDesk
from services.capture.leads.submission import (
    NO_SOURCE,
    Accepted,
    Once,
    Submission,
    source_of,
)
from services.capture.leads.thanks_tokens import Thanks
from services.shared.contact import ContactKeys
from services.shared.errors import FieldError, Malformed, Problem
from services.shared.web.body import read_json
from services.shared.web.openapi import problems
from services.shared.web.problems import problem_response

PATH = "/v1/baits/{slug}/leads"
_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,200})"?\Z')  # a structured string, or bare as most send it

_BODY: TypeAdapter[LeadBody] = TypeAdapter(LeadBody)


class LeadRoutes:
    """The JSON way in."""

    def __init__(
        self,
        desk: LeadDesk,
        shelf: BaitShelf,
        origins: Origins,
        keys: ContactKeys,
        thanks: Thanks,
        delivery: Delivery,
    ) -> None:
        self._delivery = delivery
        self._desk = desk
        self._shelf = shelf
        self._origins = origins
        self._keys = keys
        self._thanks = thanks

    def routes(self) -> list[BaseRoute]:
        """What the app serves."""
        return [
            Route(PATH, self.post, methods=["POST"]),
            Route(PATH, self.ask, methods=["OPTIONS"]),
        ]

    async def ask(self, request: Request) -> Response:
        """A browser asks before it posts."""
        try:
            bait = await self._shelf.find(request.path_params["slug"])
        except Problem as problem:
            return problem_response(request, problem)
        origin = request.headers.get("origin")
        headers = {**self._origins.headers(bait, origin), **PREFLIGHT}
        return Response(status_code=204, headers=headers)

    async def post(self, request: Request) -> Response:
        """Take a lead."""
        origin = request.headers.get("origin")
        bait: LiveBait | None = None
        try:
            bait = await self._shelf.find(request.path_params["slug"])
            self._origins.require(bait, origin, null=False)
            body = await read_json(request, _BODY)
            submission = await self._submission(request, bait, body)
            answer = await self._desk.accept(bait, submission)
        except Problem as problem:
            response = problem_response(request, problem)
            if bait is not None:
                response.headers.update(self._origins.headers(bait, origin))
            return response
        text = answer.text
        if body.way == "script":
            text = self._with_thanks(bait, [*body.contact], answer)
        headers = self._origins.headers(bait, origin)
        return Response(text, 202, headers, media_type="application/json")

    async def _submission(self, request: Request, bait: LiveBait, body: LeadBody) -> Submission:
        return Submission(
            way=body.way,
            contacts=cast("dict[str, str]", body.contact),
            fields=body.fields,
            consents=body.consents,
            source=_source(body.source),
            language=body.language,
            form_version=body.form_version,
            ip=request.client.host if request.client else None,
            once=await self._once(request, bait),
        )

    async def _once(self, request: Request, bait: LiveBait) -> Once | None:
        given = request.headers.get("idempotency-key")
        if given is None:
            return None
        found = _KEY.match(given.strip())
        if found is None:
            raise Malformed(
                fields=(FieldError("Idempotency-Key", "invalid"),), code="idempotency-key-malformed"
            )
        body = await request.body()
        return Once(
            self._keys.opaque("once", f"json\x1f{bait.slug}\x1f{found.group(1)}"),
            self._keys.opaque("body", body.decode("latin-1")),
        )

    def _with_thanks(self, bait: LiveBait, channels: Sequence[str], answer: Accepted) -> str:
        """The answer with what the script tells its visitor; it follows from the bait alone."""
        channel = self._delivery.first(channels, bait.document)
        way = self._delivery.way(channel, bait.document)
        text = f'{answer.text[:-1]},"resource":"{way}"'
        if self._delivery.on_page(channel, bait.document):
            text += f',"thanks":"{self._thanks.path(bait, answer.lead_id)}"'
        return text + "}"


def _source(given: LeadSource | None) -> Any:
    return NO_SOURCE if given is None else source_of(given.__dict__)


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """Add this route to the OpenAPI document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    reference = "#/components/schemas/{model}"
    for model in (LeadBody, LeadAccepted):
        schema = TypeAdapter(model).json_schema(ref_template=reference)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    document.setdefault("paths", {})[PATH] = {"post": _operation()}
    return document


def _operation() -> Mapping[str, Any]:
    answer: dict[str, Any] = {
        "202": {
            "description": "The lead is durable.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/LeadAccepted"}}
            },
        }
    }
    refused = problems(400, 403, 404, 409, 410, 413, 415, 422, 503)
    return {
        "tags": ["leads"],
        "summary": "Leave a contact",
        "description": "Public. A retry with the same Idempotency-Key and body gets the same answer.",
        "operationId": "post_lead",
        "parameters": [
            {"name": "slug", "in": "path", "required": True, "schema": {"type": "string"}},
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": 200},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LeadBody"}}},
        },
        "responses": answer | {str(status): text for status, text in refused.items()},
    }
