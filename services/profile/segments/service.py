"""Segments: made, changed, retired; counted, sampled and walked through."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlmodel import Session

from services.profile.segments import fitting, repository
from services.profile.segments.compiling import Compiler, large_conditions
from services.profile.segments.leaves import World
from services.profile.segments.models import Segment
from services.profile.segments.rules import Rule
from services.profile.segments.schemas import (
    CountedMembers,
    Members,
    Preview,
    Sample,
    SamplePerson,
    SegmentDocument,
    SegmentList,
    SegmentState,
)
from services.profile.segments.walking import walk
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.database.cursors import cursor_of
from services.shared.errors import Gone, NotFound, PreconditionFailed
from services.shared.ids import Ids
from services.shared.web.versions import check_version

SAMPLE = 10
_RULE: TypeAdapter[Any] = TypeAdapter(Rule)


class NoSuchSegment(NotFound):
    titles = ("没有这个分组", "There is no such segment")


class SegmentRetired(Gone):
    titles = ("此分组已停用", "This segment is retired")


@dataclass(frozen=True)
class Segments:
    """The segments of this installation."""

    database: Database
    clock: Clock
    ids: Ids

    async def create(self, document: SegmentDocument) -> SegmentState:
        """Make a segment. Raises `Invalid` where the rule does not fit the fields."""
        now = self.clock.now()
        segment = Segment(
            id=self.ids.new(),
            name=document.name,
            rule=_plain(document.rule),
            version=1,
            created_at=now,
            changed_at=now,
        )

        def work(session: Session) -> SegmentState:
            self._check(session, document.rule)
            repository.insert(session, segment)
            return _state(segment)

        return await self.database.transaction(work)

    async def show(self, segment_id: UUID) -> SegmentState:
        """A segment, also a retired one. Raises `NoSuchSegment`."""
        return await self.database.read(lambda s: _state(_found(s, segment_id)))

    async def page(self, cursor: str | None, limit: int) -> SegmentList:
        """Open segments, newest first."""

        def work(session: Session) -> SegmentList:
            found = repository.page(session, cursor, limit + 1)
            items = [_state(segment) for segment in found[:limit]]
            last = items[-1] if len(found) > limit else None
            return SegmentList(items=items, next=last and cursor_of(last.created_at, last.id))

        return await self.database.read(work)

    async def change(
        self, segment_id: UUID, expected: int | None, document: SegmentDocument
    ) -> SegmentState:
        """The whole segment anew. Raises `PreconditionFailed`, `NoSuchSegment`, `SegmentRetired`."""

        def work(session: Session) -> SegmentState:
            segment = _open(session, segment_id)
            check_version(expected, segment.version)
            self._check(session, document.rule)
            values = {
                "name": document.name,
                "rule": _plain(document.rule),
                "changed_at": self.clock.now(),
            }
            if not repository.change(session, segment_id, segment.version, values):
                raise PreconditionFailed
            session.refresh(segment)
            return _state(segment)

        return await self.database.transaction(work)

    async def retire(self, segment_id: UUID, expected: int | None) -> None:
        """Take a segment out of use; what uses it already can go on. Raises like `change`."""

        def work(session: Session) -> None:
            segment = _open(session, segment_id)
            check_version(expected, segment.version)
            if not repository.retire(session, segment_id, segment.version, self.clock.now()):
                raise PreconditionFailed

        await self.database.transaction(work)

    async def count(self, segment_id: UUID) -> int:
        """How many people are in a segment now. Raises `NoSuchSegment`, `DatabaseUnavailable`."""

        def work(session: Session) -> int:
            return self._count(session, _rule(_found(session, segment_id)))

        return await self.database.scan(work)

    async def sample(self, segment_id: UUID, limit: int) -> Sample:
        """Some people of a segment."""

        def work(session: Session) -> Sample:
            rule = _rule(_found(session, segment_id))
            return Sample(items=self._sample(session, rule, limit))

        return await self.database.scan(work)

    async def preview(self, rule: Any) -> Preview:
        """What a rule would find. Raises `Invalid` where it does not fit the fields."""

        def work(session: Session) -> Preview:
            self._check(session, rule)
            known = self._world(session, rule).types
            return Preview(
                count=self._count(session, rule),
                items=self._sample(session, rule, SAMPLE),
                unknown_fields=sorted(fitting.fields_of(rule) - set(known)),
            )

        return await self.database.scan(work)

    async def members(self, segment_id: UUID, after: UUID | None, limit: int) -> Members:
        """A page of the members, in the order of their ids."""

        def work(session: Session) -> Members:
            rule = _rule(_found(session, segment_id))
            return self._members(session, rule, after, limit)

        return await self.database.scan(work)

    async def counted_members(
        self, segment_id: UUID, after: UUID | None, limit: int
    ) -> CountedMembers:
        """The same, with the count of all on the last page."""

        def work(session: Session) -> CountedMembers:
            rule = _rule(_found(session, segment_id))
            found = self._members(session, rule, after, limit)
            total = self._count(session, rule) if found.next is None else None
            return CountedMembers(items=found.items, next=found.next, count=total)

        return await self.database.scan(work)

    def _members(self, session: Session, rule: Any, after: UUID | None, limit: int) -> Members:
        found = self._walk(session, rule, after, limit + 1)
        return Members(items=found[:limit], next=found[limit - 1] if len(found) > limit else None)

    def _walk(self, session: Session, rule: Any, after: UUID | None, limit: int) -> list[UUID]:
        return walk(session, rule, self._world(session, rule), after, limit)

    def _sample(self, session: Session, rule: Any, limit: int) -> list[SamplePerson]:
        ids = self._walk(session, rule, None, limit)
        return [SamplePerson(**person) for person in repository.people(session, ids)]

    def _count(self, session: Session, rule: Any) -> int:
        world = self._world(session, rule)
        tests = large_conditions(rule, world, lambda part: repository.size(session, part))
        return repository.count(session, Compiler(world, tests).expression(rule))

    def _world(self, session: Session, rule: Any) -> World:
        return World(self.clock.now(), repository.types_of(session, fitting.fields_of(rule)))

    def _check(self, session: Session, rule: Any) -> None:
        fitting.check(rule, repository.types_of(session, fitting.fields_of(rule)))


def _found(session: Session, segment_id: UUID) -> Segment:
    segment = repository.find(session, segment_id)
    if segment is None:
        raise NoSuchSegment
    return segment


def _open(session: Session, segment_id: UUID) -> Segment:
    segment = _found(session, segment_id)
    if segment.retired_at is not None:
        raise SegmentRetired
    return segment


def _plain(rule: Any) -> Any:
    return rule.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _rule(segment: Segment) -> Any:
    return _RULE.validate_python(segment.rule)


def _state(segment: Segment) -> SegmentState:
    return SegmentState(
        id=segment.id,
        name=segment.name,
        rule=segment.rule,
        version=segment.version,
        state="retired" if segment.retired_at else "open",
        created_at=segment.created_at,
        changed_at=segment.changed_at,
    )
