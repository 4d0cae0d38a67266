"""What operators may ask of the ledger, and tell it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session

from services.push.deliveries import repository
from services.push.deliveries.dispatcher import Dispatcher
from services.push.deliveries.schemas import (
    CauseOut,
    ChannelStatus,
    DeliveryOut,
    DispatchStatus,
    TraceOut,
)
from services.push.deliveries.states import State
from services.push.deliveries.wallclock import WallClock
from services.push.policy.service import Policy
from services.push.reach.freshness import Freshness
from services.push.reach.repository import mask, masked
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import Conflict, NotFound

_MARKED = frozenset({State.SENDING, State.SENT, State.UNKNOWN, State.FAILED})


@dataclass(frozen=True)
class DeliveryDesk:
    """Answers and acts."""

    database: Database
    clock: Clock
    policy: Policy
    dispatchers: Sequence[Dispatcher]
    wall_clock: WallClock
    freshness: Freshness

    def closed(self) -> str | None:
        """Why no marketing goes out now, else None."""
        return self.wall_clock.closed() or self.freshness.closed()

    async def show(self, delivery_id: UUID) -> DeliveryOut:
        """A delivery with its trace. Raises `NotFound`."""

        def work(session: Session) -> DeliveryOut | None:
            row = repository.find(session, delivery_id)
            if row is None:
                return None
            to = masked(session, row.contact_key) or (mask(row.address) if row.address else None)
            return _out(row, repository.trace(session, delivery_id), to)

        found = await self.database.read(work)
        if found is None:
            raise NotFound
        return found

    async def resend(self, delivery_id: UUID) -> DeliveryOut:
        """Send an unknown one again, as an operator says. Raises `NotFound`, `Conflict`."""

        def work(session: Session) -> None:
            row = repository.find(session, delivery_id)
            if row is None:
                raise NotFound
            now = self.clock.now()
            if not repository.resend(session, delivery_id, now):
                raise Conflict(
                    (
                        "只有结果未知的消息可以重发。",
                        "Only a message that is unknown can be sent again.",
                    )
                )
            self.policy.free(session, [row])
            step = repository.Step(
                delivery_id, State.PLANNED.value, "resend", None, None, row.attempt, None
            )
            repository.add_trace(session, [step], now)

        await self.database.transaction(work)
        for dispatcher in self.dispatchers:
            dispatcher.wake()
        return await self.show(delivery_id)

    def status(self) -> DispatchStatus:
        """What goes out and what does not."""
        age = self.freshness.age
        return DispatchStatus(
            channels=[
                ChannelStatus(
                    channel=status.channel,
                    paused=status.paused,
                    trouble=status.trouble,
                    marketing_paused=status.marketing,
                    connections=status.connections,
                    claimed=status.claimed,
                    on_the_wire=status.on_the_wire,
                )
                for status in (dispatcher.status for dispatcher in self.dispatchers)
            ],
            marketing_paused=self.closed(),
            view_age_seconds=None if math.isinf(age) else round(age, 3),
            view_detail=self.freshness.detail,
            clock=self.wall_clock.closed(),
        )

    def pauses(self) -> list[tuple[str, str, str]]:
        """(channel, what, reason) of what is paused now."""
        found = []
        for status in (dispatcher.status for dispatcher in self.dispatchers):
            for what, reason in (
                ("all", status.paused),
                ("marketing", status.marketing),
                # a trouble's text has a provider's code, which is no label
                ("trouble", status.trouble.partition(":")[0] if status.trouble else None),
            ):
                if reason is not None:
                    found.append((status.channel, what, reason))
        return found

    async def unready(self) -> str | None:
        """One line when a channel is in trouble, for a health page's detail."""
        troubles = [d.status for d in self.dispatchers if d.status.trouble]
        return "; ".join(f"{status.channel}: {status.trouble}" for status in troubles) or None


def _out(row: Any, lines: Sequence[Any], to: str | None) -> DeliveryOut:
    return DeliveryOut(
        id=row.id,
        cause=CauseOut(kind=row.cause_kind, id=row.cause_id),
        campaign_id=row.campaign_id,
        bait_id=row.bait_id,
        profile_id=row.profile_id,
        channel=row.channel,
        to=to,
        language=row.language,
        marketing=row.marketing,
        state=row.state,
        reason=row.reason,
        code=row.code,
        attempt=row.attempt,
        not_before=row.not_before,
        expires_at=row.expires_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        trace=_trace(row, lines),
    )


def _trace(row: Any, lines: Sequence[Any]) -> list[TraceOut]:
    """Every step: what the row itself tells of, and the lines that were written over."""
    steps = [_step(row.created_at, State.PLANNED, 0)]
    steps += [
        TraceOut(
            at=line.at,
            state=line.state,
            reason=line.reason,
            code=line.code,
            detail=line.detail,
            attempt=line.attempt,
            until=line.until,
        )
        for line in lines
    ]
    if row.sending_at is not None and row.state in _MARKED:
        steps.append(_step(row.sending_at, State.SENDING, row.attempt, "allowed"))
    if row.state == State.SENT:
        steps.append(_step(row.updated_at, State.SENT, row.attempt, code=row.code))
    return sorted(steps, key=lambda step: step.at)


def _step(
    at: datetime, state: State, attempt: int, reason: str | None = None, code: str | None = None
) -> TraceOut:
    return TraceOut(
        at=at,
        state=state.value,
        reason=reason,
        code=code,
        detail=None,
        attempt=attempt,
        until=None,
    )
