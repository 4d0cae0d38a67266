"""`POST /v1/baits/{slug}/leads`: the way in for scripts and programs, and the fastest one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

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

    def takes(self, scope: Scope) -> bool:
        """Whether a request posts a lead."""
        return scope["method"] == "POST" and _slug(scope["path"]) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a post of a lead."""
        scope["route"] = self._route
        await self._post(_slug(scope["path"]) or "", scope, receive, send)

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

    async def _post(self, slug: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a lead."""
        head = _head(scope["headers"])
        bait: LiveBait | None = None
        try:
            bait = await self._shelf.find(slug)
            self._origins.require(bait, head.origin, null=False)
            check_json_type(head.content_type)
            raw = await _whole_body(receive)
            body = read_lead(raw)
            once = self._once(bait, head.key, raw) if head.key is not None else None
            submission = _submission(body, self._address(scope), once)
            accepted = await self._desk.accept(bait, submission)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Problem as problem:
            response = problem_response(Request(scope), problem)
            if bait is not None:
                response.headers.update(self._origins.headers(bait, head.origin))
            await response(scope, receive, send)
            return
        text = accepted.text
        if body.way == "script":
            text = self._with_thanks(bait, [*body.contact], accepted)
        await self._answer(bait, head.origin, text.encode(), send)

    async def _answer(self, bait: LiveBait, origin: str | None, body: bytes, send: Send) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *self._origins.raw_headers(bait, origin),
        ]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _address(self, scope: Scope) -> str | None:
        """Whose address a request comes from; most have no proxy that is believed, and skip the headers."""
        if self._trusted:
            return client_address(HTTPConnection(scope), self._trusted)
        client = scope.get("client")
        return client[0] if client else None

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


async def _whole_body(receive: Receive) -> bytes:
    """The body of a request. Raises `ClientDisconnect` when the rest will not come."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return body


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
