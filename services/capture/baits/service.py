"""The rules of baits: what may be said, who changes it when, and what becomes of a lead's contact."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from sqlmodel import Session

from services.capture.baits import repository
from services.capture.baits.live import BaitShelf, LiveBait, NoSuchBait, live_bait
from services.capture.baits.models import Bait, BaitVersion
from services.capture.baits.schemas import (
    AnyResource,
    BaitDocument,
    BaitList,
    BaitState,
    BaitVersionState,
    ChannelState,
    FileResource,
    NewBait,
)
from services.capture.files import repository as files
from services.capture.settings import CaptureSettings
from services.shared.errors import Conflict, FieldError, Invalid, PreconditionFailed
from services.shared.ground import Ground

Way = Literal["mail", "thanks_page", "kept_only"]


class TypeConflict(Conflict):
    """A field name has another type in another bait."""

    code = "type-conflict"
    titles = ("字段类型冲突", "A field has another type elsewhere")


class Delivery:
    """How a kind of contact gets the resource."""

    def __init__(self, settings: CaptureSettings) -> None:
        self._connected = frozenset(settings.connected_channels)

    def connected(self, channel: str, document: BaitDocument) -> bool:
        """Whether push can send to such a contact of this bait."""
        if channel == "qq" and document.qq_mail and "email" in self._connected:
            return True
        return channel in self._connected

    def way(self, channel: str, document: BaitDocument) -> Way:
        """By mail, on the thanks page, or not at all."""
        if self.connected(channel, document):
            return "mail"
        if document.others_on_page or document.release == "at_once":
            return "thanks_page"
        return "kept_only"

    def first(self, channels: Sequence[str], document: BaitDocument) -> str:
        """The kind of contact that the bait is sent to: the first that can be reached, else the first.

        In the order in which the bait asks for them.
        """
        asked = [channel for channel in document.contacts if channel in channels]
        reached = [channel for channel in asked if self.connected(channel, document)]
        return (reached or asked)[0] if asked else channels[0]

    def on_page(self, channel: str, document: BaitDocument) -> bool:
        """Whether the thanks page gives the resource."""
        return document.release == "at_once" or self.way(channel, document) == "thanks_page"


class Baits:
    """Makes, changes and shows baits."""

    def __init__(self, ground: Ground[CaptureSettings], shelf: BaitShelf) -> None:
        self._ground = ground
        self._shelf = shelf
        self.delivery = Delivery(ground.settings)

    async def create(self, new: NewBait) -> BaitState:
        """Make a bait. Raises `Conflict` when the slug is taken or a field has another type."""
        document = BaitDocument.model_validate(new.model_dump(exclude={"slug"}))
        now = self._ground.clock.now()
        bait = Bait(
            id=self._ground.ids.new(), slug=new.slug, version=1, created_at=now, changed_at=now
        )

        def work(session: Session) -> None:
            stored = self._complete(session, document)
            if not repository.add(session, bait, stored.model_dump(mode="json")):
                raise Conflict(
                    ("这个短名已被占用。", "Another bait has this slug."),
                    fields=(FieldError("slug", "taken"),),
                )

        await self._ground.database.transaction(work)
        self._shelf.forget(new.slug)
        return await self.show(new.slug)

    async def change(self, slug: str, expected: int | None, document: BaitDocument) -> BaitState:
        """Replace what a bait says. `expected` None: whatever version it has. Raises `PreconditionFailed`."""

        def work(session: Session) -> None:
            bait, _ = self._current(session, slug, expected)
            self._change(session, bait, document)

        await self._ground.database.transaction(work)
        self._shelf.forget(slug)
        return await self.show(slug)

    async def give(self, slug: str, expected: int | None, resource: AnyResource) -> BaitState:
        """Change only the resource of a bait."""

        def work(session: Session) -> None:
            bait, row = self._current(session, slug, expected)
            document = BaitDocument.model_validate(row.document)
            self._change(session, bait, document.model_copy(update={"resource": resource}))

        await self._ground.database.transaction(work)
        self._shelf.forget(slug)
        return await self.show(slug)

    async def retire(self, slug: str, expected: int | None) -> BaitState:
        """End a bait: its form closes, what it gave stays open to those who have it. Twice is once."""

        def work(session: Session) -> None:
            bait, _ = self._current(session, slug, expected, retired_too=True)
            if bait.retired_at is None and not repository.retire(
                session, bait, self._ground.clock.now()
            ):
                raise PreconditionFailed

        await self._ground.database.transaction(work)
        self._shelf.forget(slug)
        return await self.show(slug)

    async def show(self, slug: str) -> BaitState:
        """A bait as it is now. Raises `NoSuchBait`."""
        found = await self._ground.database.read(lambda s: repository.find(s, slug))
        if found is None:
            raise NoSuchBait
        return self._state(live_bait(*found, self._ground.contact_keys))

    async def version(self, slug: str, number: int) -> BaitVersionState:
        """What a bait said in one of its versions. Raises `NoSuchBait`."""

        def work(session: Session) -> BaitVersion | None:
            found = repository.find(session, slug)
            return repository.version(session, found[0].id, number) if found else None

        row = await self._ground.database.read(work)
        if row is None:
            raise NoSuchBait
        return BaitVersionState(
            slug=slug,
            version=row.version,
            created_at=row.created_at,
            bait=BaitDocument.model_validate(row.document),
        )

    async def page(self, after: str | None, limit: int) -> BaitList:
        """Baits by slug."""
        rows = await self._ground.database.read(lambda s: repository.page(s, after, limit + 1))
        items = [self._state(live_bait(*row, self._ground.contact_keys)) for row in rows[:limit]]
        return BaitList(items=items, next=items[-1].slug if len(rows) > limit else None)

    async def by_ids(self, ids: Sequence[UUID]) -> dict[UUID, LiveBait]:
        """Baits by their ids."""
        if not ids:
            return {}
        rows = await self._ground.database.read(lambda s: repository.find_by_ids(s, ids))
        return {bait.id: live_bait(bait, row, self._ground.contact_keys) for bait, row in rows}

    def _current(
        self, session: Session, slug: str, expected: int | None, *, retired_too: bool = False
    ) -> tuple[Bait, BaitVersion]:
        found = repository.find(session, slug)
        if found is None:
            raise NoSuchBait
        if expected is not None and found[0].version != expected:
            raise PreconditionFailed
        if found[0].retired_at is not None and not retired_too:
            raise Conflict(("诱饵已停用。", "This bait is retired."), code="bait-retired")
        return found

    def _change(self, session: Session, bait: Bait, document: BaitDocument) -> None:
        stored = self._complete(session, document).model_dump(mode="json")
        if not repository.change(session, bait, stored, self._ground.clock.now()):
            raise PreconditionFailed

    def _complete(self, session: Session, document: BaitDocument) -> BaitDocument:
        """Check what only the database knows: types of fields, and the file that is given."""
        wrong = repository.declare_types(
            session, {declared.name: declared.type for declared in document.fields}
        )
        if wrong:
            raise TypeConflict(
                (
                    "同名字段在别处已是其他类型，请换一个字段名。",
                    "Such a field has another type elsewhere: give it another name.",
                ),
                fields=tuple(FieldError(f"fields.{name}", "type_conflict") for name in wrong),
            )
        if not isinstance(document.resource, FileResource):
            return document
        size = files.size(session, document.resource.sha256)
        if size is None:
            raise Invalid(fields=(FieldError("resource.sha256", "no_such_thing"),))
        resource = document.resource.model_copy(update={"size": size})
        return document.model_copy(update={"resource": resource})

    def _state(self, bait: LiveBait) -> BaitState:
        document = bait.document
        return BaitState(
            id=str(bait.id),
            slug=bait.slug,
            version=bait.form.version,
            state=bait.state(self._ground.clock.now()),
            resource_state="ready" if document.resource else "missing",
            delivery=[
                ChannelState(
                    channel=channel,
                    connected=self.delivery.connected(channel, document),
                    resource=self.delivery.way(channel, document),
                )
                for channel in document.contacts
            ],
            created_at=bait.created_at,
            changed_at=bait.changed_at,
            retired_at=bait.retired_at,
            page=f"{self._ground.settings.public_url}/b/{bait.slug}",
            bait=document,
        )
