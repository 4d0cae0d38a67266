"""Baits as the ways in see them: compiled once per version, kept in memory, never older than a moment."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Literal
from uuid import UUID

from services.capture.baits import repository
from services.capture.baits.fields import ConsentText, FieldDeclaration
from services.capture.baits.models import Bait, BaitVersion
from services.capture.baits.schemas import BaitDocument
from services.shared.clock import Clock
from services.shared.contact import Channel, Contact, ContactKeys, parse_contact
from services.shared.database import Database
from services.shared.errors import Gone, NotFound

State = Literal["open", "not_yet", "over", "retired"]

_SLUG = re.compile(r"[a-z0-9-]{1,63}\Z")
_FRESH_SECONDS = 1.0
_MOST = 2_000


class NoSuchBait(NotFound):
    code = "no-such-bait"
    titles = ("没有找到这个页面", "There is no such offer")


class BaitNotOpen(NotFound):
    code = "bait-not-open"
    titles = ("活动还没有开始", "This offer has not begun yet")


class BaitOver(Gone):
    code = "bait-over"
    titles = ("活动已经结束", "This offer is over")


@dataclass(frozen=True, slots=True)
class LiveForm:
    """One version of a bait's form. Immutable, as versions are."""

    version: int
    document: BaitDocument
    fields: Mapping[str, FieldDeclaration]
    consents: Mapping[str, ConsentText]
    types: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LiveBait:
    """A bait with its current form. `staff` are the contacts that are told of its leads."""

    id: UUID
    name: str
    """The id as text, as events carry it."""
    slug: str
    form: LiveForm
    created_at: datetime
    changed_at: datetime
    retired_at: datetime | None
    staff: tuple[Mapping[str, str], ...] = field(default=())

    @property
    def document(self) -> BaitDocument:
        return self.form.document

    def state(self, now: datetime) -> State:
        """Whether it takes leads now."""
        if self.retired_at is not None:
            return "retired"
        document = self.form.document
        if document.valid_from is not None and now < document.valid_from:
            return "not_yet"
        if document.valid_to is not None and now >= document.valid_to:
            return "over"
        return "open"

    def require_open(self, now: datetime) -> None:
        """Raises `BaitOver` or `BaitNotOpen` unless it takes leads now."""
        state = self.state(now)
        if state == "not_yet":
            raise BaitNotOpen
        if state != "open":
            raise BaitOver


def contact_part(contact: Contact, keys: ContactKeys) -> dict[str, str]:
    """A contact as events carry it (`ContactPart`), ready to be written."""
    return {
        "channel": contact.channel.value,
        "account": contact.account,
        "address": contact.address,
        "identity": contact.identity,
        "contact_key": keys.contact_key(contact),
        "abuse_key": keys.abuse_key(contact),
    }


def live_form(row: BaitVersion) -> LiveForm:
    """Read a stored version."""
    document = BaitDocument.model_validate(row.document)
    return LiveForm(
        version=row.version,
        document=document,
        fields={declared.name: declared for declared in document.fields},
        consents={consent.name: consent for consent in document.consents},
        types={declared.name: declared.type for declared in document.fields},
    )


def live_bait(bait: Bait, row: BaitVersion, keys: ContactKeys) -> LiveBait:
    """Read a stored bait."""
    form = live_form(row)
    staff = tuple(
        contact_part(parse_contact(Channel.EMAIL, address), keys) for address in form.document.staff
    )
    return LiveBait(
        bait.id,
        str(bait.id),
        bait.slug,
        form,
        bait.created_at,
        bait.changed_at,
        bait.retired_at,
        staff,
    )


class BaitShelf:
    """Finds baits by slug without asking the database each time; at most 1 s behind it."""

    def __init__(self, database: Database, clock: Clock, keys: ContactKeys) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._baits: OrderedDict[str, tuple[float, LiveBait]] = OrderedDict()
        self._forms: OrderedDict[tuple[UUID, int], LiveForm] = OrderedDict()
        self._asking: dict[str, asyncio.Task[LiveBait]] = {}

    async def find(self, slug: str) -> LiveBait:
        """The bait of a slug. Raises `NoSuchBait`."""
        now = self._clock.monotonic()
        kept = self._baits.get(slug)
        if kept is not None and now - kept[0] < _FRESH_SECONDS:
            return kept[1]
        if not _SLUG.match(slug):
            raise NoSuchBait
        # a crowd that comes when it is time to look again asks once
        asking = self._asking.get(slug)
        if asking is None:
            asking = self._asking[slug] = asyncio.create_task(self._ask(slug))
            asking.add_done_callback(partial(self._asked, slug))
        return await asyncio.shield(asking)

    async def _ask(self, slug: str) -> LiveBait:
        now = self._clock.monotonic()
        found = await self._database.read(lambda session: repository.find(session, slug))
        if found is None:
            self._baits.pop(slug, None)
            raise NoSuchBait
        bait, row = found
        before = self._baits.get(slug)
        if (
            before is not None
            and before[1].form.version == bait.version
            and before[1].retired_at == bait.retired_at
        ):
            live = before[1]
        else:
            live = live_bait(bait, row, self._keys)
        if self._asking.get(slug) is asyncio.current_task():
            self._baits[slug] = (now, live)
        if len(self._baits) > _MOST:
            self._baits.popitem(last=False)
        return live

    def _asked(self, slug: str, task: "asyncio.Task[LiveBait]") -> None:
        if self._asking.get(slug) is task:
            del self._asking[slug]
        if not task.cancelled():
            task.exception()  # whoever asked has it, if they still wait

    async def form(self, bait: LiveBait, version: int | None) -> LiveForm:
        """The form that a visitor saw; the current one when the version is not known."""
        if version is None or version == bait.form.version or not 0 < version < bait.form.version:
            return bait.form
        kept = self._forms.get((bait.id, version))
        if kept is None:
            row = await self._database.read(
                lambda session: repository.version(session, bait.id, version)
            )
            if row is None:
                return bait.form
            kept = self._forms[bait.id, version] = live_form(row)
            if len(self._forms) > _MOST:
                self._forms.popitem(last=False)
        return kept

    def forget(self, slug: str) -> None:
        """Ask the database the next time."""
        self._baits.pop(slug, None)
        self._asking.pop(slug, None)
