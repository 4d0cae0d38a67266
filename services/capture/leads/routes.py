"""`POST /v1/baits/{slug}/leads`: the way in for scripts and programs, and the fastest one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.capture.baits.live import BaitShelf, LiveBait
from services.capture.baits.service import Delivery
from services.capture.leads.cors import PREFLIGHT, Origins
from services.capture.leads.reading import read_lead
from services.capture.leads.schemas import LeadAccepted, LeadBody
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
from services.shared.errors import FieldError, Malformed, NotFound, Problem
from services.shared.web.body import check_json_type
from services.shared.web.client_address import Network, client_address
from services.shared.web.edge import Header
from services.shared.web.hot import Answer, Asked, Head, answer_of
from services.shared.web.openapi import problems
from services.shared.web.problems import problem_response

PATH = "/v1/baits/{slug}/leads"
_BEFORE, _BEHIND = PATH.split("{slug}")
_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,200})"?\Z')  # a structured string, or bare as most send it


class LeadRoutes:
    """The JSON way in: a `HotRoute`, and a route for what browsers ask before."""

    def __init__(
        self,
        desk: LeadDesk,
        shelf: BaitShelf,
        origins: Origins,
        keys: ContactKeys,
        thanks: Thanks,
        delivery: Delivery,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._trusted = trusted
        self._delivery = delivery
        self._desk = desk
        self._shelf = shelf
        self._origins = origins
        self._keys = keys
        self._thanks = thanks
        # what metrics call this path, and what another method is told of it
        self._route = Route(PATH, self.ask, methods=["POST", "OPTIONS"])

    def routes(self) -> list[BaseRoute]:
        """What the app serves beside this."""
        return [self._route]

    def template(self, method: str, path: str) -> str | None:
        """As `HotRoute` says."""
        return PATH if method == "POST" and _slug(path) is not None else None

    async def ask(self, request: Request) -> Response:
        """A browser asks before it posts."""
        if request.method == "POST":
            raise NotFound  # of a path that is nearly ours: the hot route has not taken it
        try:
            bait = await self._shelf.find(request.path_params["slug"])
        except Problem as problem:
            return problem_response(request, problem)
        origin = request.headers.get("origin")
        headers = {**self._origins.headers(bait, origin), **PREFLIGHT}
        return Response(status_code=204, headers=headers)

    async def answer(self, asked: Asked) -> Answer:
        """Take a lead."""
        head = _head(asked.headers)
        bait: LiveBait | None = None
        try:
            bait = await self._shelf.find(_slug(asked.path) or "")
            self._origins.require(bait, head.origin, null=False)
            check_json_type(head.content_type)
            body = read_lead(asked.body)
            once = self._once(bait, head.key, asked.body) if head.key is not None else None
            submission = _submission(body, self._address(asked), once)
            accepted = await self._desk.accept(bait, submission)
        except Problem as problem:
            response = problem_response(asked.as_request(), problem)
            if bait is not None:
                response.headers.update(self._origins.headers(bait, head.origin))
            return answer_of(response)
        text = accepted.text
        if body.way == "script":
            text = self._with_thanks(bait, [*body.contact], accepted)
        return Answer(_accepted(self._origins.raw_headers(bait, head.origin)), text.encode())

    def _address(self, asked: Asked) -> str | None:
        """Whose address a request comes from; most have no proxy that is believed, and skip the headers."""
        if self._trusted:
            return client_address(asked.as_request(), self._trusted)
        return asked.client

    def _once(self, bait: LiveBait, given: str, body: bytes) -> Once:
        found = _KEY.match(given.strip())
        if found is None:
            raise Malformed(
                fields=(FieldError("Idempotency-Key", "invalid"),), code="idempotency-key-malformed"
            )
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


def _slug(path: str) -> str | None:
    """The slug in the path of this route; None for another path."""
    if not path.endswith(_BEHIND) or not path.startswith(_BEFORE):
        return None
    slug = path[len(_BEFORE) : -len(_BEHIND)]
    return slug if slug and "/" not in slug else None


class _Head(NamedTuple):
    """The headers that matter."""

    content_type: str
    origin: str | None
    key: str | None


def _head(headers: Iterable[tuple[bytes, bytes]]) -> _Head:
    """Read them in one pass."""
    content_type, origin, key = "", None, None
    for name, value in headers:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"origin":
            origin = value.decode("latin-1")
        elif name == b"idempotency-key":
            key = value.decode("latin-1")
    return _Head(content_type, origin, key)


@lru_cache(maxsize=256)
def _accepted(cors: tuple[Header, ...]) -> Head:
    """The head of the answer to a lead."""
    return Head(202, ((b"content-type", b"application/json"), *cors))


def _submission(body: LeadBody, ip: str | None, once: Once | None) -> Submission:
    return Submission(
        way=body.way,
        contacts=cast("dict[str, str]", body.contact),
        fields=body.fields,
        consents=body.consents,
        source=NO_SOURCE if body.source is None else source_of(body.source.__dict__),
        language=body.language,
        form_version=body.form_version,
        ip=ip,
        once=once,
    )


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
