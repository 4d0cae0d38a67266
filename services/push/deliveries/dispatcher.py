"""A dispatcher: empties the ledger into one channel. Any number may run, in any number of processes.

One writer (`step`) commits the results of all connections and marks their next windows in the same
transaction, every few milliseconds; what it marked is submitted right after the commit. Between two
steps nothing happens but that connections report.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.push.channels.base import Channel, OutcomeClass, Outgoing, Result
from services.push.deliveries.halts import Halted
from services.push.deliveries.lanes import Lanes
from services.push.deliveries.material import ContentMissing, Filler, Material, MaterialKey
from services.push.deliveries.repository import Claimed
from services.push.deliveries.service import Answer, Ledger, Turn, material_key
from services.push.policy.asks import Recipient
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable
from services.shared.traffic import Traffic

log = logging.getLogger(__name__)

FRESH_SECONDS = 2.0
"""A message whose mark is older when its turn comes is not sent."""

_TICK = 0.008
_BULK_TICK = 0.03
_POLL = 0.25
_LOOK = 0.02
_RENEW = 8.0
_REAP = 5.0
_SWEEP = 0.05
_AWAY = 1.0
_MATERIALS = 500
_CONNECT_PAUSE = 5.0
_CONFIG_PAUSE = 30.0

Closed = Callable[[], str | None]
"""Why no marketing may go out at this moment, or None."""


@dataclass
class Status:
    """What an operator may ask of a dispatcher."""

    channel: str
    paused: str | None = None
    trouble: str | None = None
    marketing: str | None = None
    connections: int = 0
    claimed: int = 0
    on_the_wire: int = 0
    bulk: bool = False
    """A campaign's are among them."""


class Observer:
    """Told what happened after it was committed; does nothing by itself."""

    def changed(self, channel: str, state: str, reason: str | None) -> None:
        """A delivery changed its state."""

    def answered(self, channel: str, outcome: OutcomeClass | None) -> None:
        """A connection reported."""

    def late(self, channel: str, number: int) -> None:
        """Results came for rows that were not ours any more."""


class Dispatcher:
    """Sends what is due over one channel."""

    def __init__(
        self,
        channel: Channel,
        ledger: Ledger,
        database: Database,
        filler: Filler,
        clock: Clock,
        *,
        closed: Closed = lambda: None,
        observer: Observer | None = None,
        batch: int = 1000,
    ) -> None:
        self._channel = channel
        self._ledger = ledger
        self._database = database
        self._filler = filler
        self._clock = clock
        self._closed = closed
        self._observer = observer or Observer()
        self._batch = batch
        self._wake = asyncio.Event()
        self._lanes = Lanes(channel, self._report, clock)
        self._lanes.changed = self._wake
        self._urgent: deque[Claimed] = deque()
        self._normal: deque[Claimed] = deque()
        self._doubtful: list[Claimed] = []
        self._flying: dict[UUID, Claimed] = {}
        self._results: list[Result] = []
        self._full = asyncio.Event()
        self._enough = 1
        self._materials: dict[MaterialKey, Material] = {}
        self._places: dict[Halted, UUID] = {}
        self._due_at: dict[str, float] = {}
        self._paused_until = float("-inf")
        self._look = True
        self._more = False
        self.status = Status(channel.name)
        self.traffic = Traffic(clock)
        """With whom the loop is shared; a process puts its own here."""

    def wake(self) -> None:
        """Something was planned: look at once."""
        self._look = True
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Dispatch until `stop` is set; then finish what is on the wire and give back the rest."""
        ended = asyncio.ensure_future(self._wake_at(stop))
        try:
            while not stop.is_set():
                await self.traffic.enter()
                began = self._clock.monotonic()
                try:
                    busy = await self.step()
                except DatabaseUnavailable:
                    log.warning("dispatcher of %s waits for the database", self._channel.name)
                    await self._clock.wait(stop, _AWAY)
                    continue
                self.traffic.leave(self._clock.monotonic() - began)
                if busy:
                    if self.status.bulk:
                        self.traffic.sending()
                    await self._gather()
                else:
                    # asked less than a look ago: that is not forgotten until the poll
                    soon = self._look and not self._pausing()
                    await self._clock.wait(self._wake, _LOOK if soon else _POLL)
        finally:
            ended.cancel()
            await self.close()

    async def step(self) -> bool:
        """One turn: duties, results and next windows, submit, claim. False when there was nothing to do.

        Raises `DatabaseUnavailable`; nothing is lost, the next step goes on.
        """
        self._wake.clear()
        self._lanes.tidy()
        self._meet_refusal()
        await self._duties()
        if self._doubtful:
            await self._unmark()
        marketing = self._gate()
        if (self._pausing() and (self._urgent or self._normal)) or (not marketing and self._normal):
            await self._give_back(all_rows=self._pausing())
        turned = await self._turn()
        claimed = await self._refill(marketing)
        self.status.connections = self._lanes.open
        self.status.claimed = len(self._urgent) + len(self._normal)
        self.status.on_the_wire = len(self._flying)
        self.status.bulk = any(row.marketing for row in self._flying.values())
        return turned or claimed or bool(self._results)

    async def _gather(self) -> None:
        """Let results come in: until enough of what is on the wire is back, at most some milliseconds.

        A commit costs as much as twenty mails: a campaign's are worth waiting for, a person's are not.
        """
        flying = len(self._flying)
        bulk = all(row.marketing for row in self._flying.values())
        self._enough = max(1, flying * 3 // 4 if bulk else flying // 2)
        self._full.clear()
        if flying and len(self._results) < self._enough:
            await self._clock.wait(self._full, _BULK_TICK if bulk else _TICK)
        else:
            await self._clock.sleep(0)

    async def close(self) -> None:
        """Finish what is on the wire, write every result, give back what was claimed."""
        await self._lanes.close()
        try:
            if self._doubtful:
                await self._unmark()
            await self._write([])
            await self._give_back(all_rows=True)
        except DatabaseUnavailable:
            log.warning("dispatcher of %s could not write its last results", self._channel.name)

    # results and windows

    def _report(self, result: Result) -> None:
        self._results.append(result)
        if len(self._results) >= self._enough:
            self._full.set()
        self._wake.set()

    async def _turn(self) -> bool:
        candidates = self._candidates()
        if not candidates and not self._results:
            return False
        marked_at = self._clock.monotonic()
        turn = await self._write(candidates)
        if turn.sending:
            self._submit(turn, marked_at + FRESH_SECONDS)
        return True

    def _candidates(self) -> list[Claimed]:
        if self._pausing():
            return []
        waiting = len(self._urgent) + len(self._normal)
        free = self._lanes.free()
        for result in self._results:
            # a lane whose result is only being written has room already
            self._lanes.done(result.delivery_id)
        free = self._lanes.free()
        if waiting > free:
            self._lanes.want(waiting - free)
        picked: list[Claimed] = []
        for queue in (self._urgent, self._normal):
            while queue and len(picked) < free:
                row = queue.popleft()
                # sent again by an operator before its last attempt was reported: left to its lease
                if row.id not in self._flying:
                    picked.append(row)
        none = UUID(int=0)
        picked.sort(key=lambda row: row.profile_id or none)
        return picked

    async def _write(self, candidates: list[Claimed]) -> Turn:
        """Commit results and windows. When that fails, results are kept and candidates doubtful."""
        results, self._results = self._results, []
        heard: dict[UUID, Answer] = {}
        for result in results:
            self._lanes.done(result.delivery_id)
            row = self._flying.get(result.delivery_id)
            if row is not None:
                heard.setdefault(row.id, (row, result))
        answers = list(heard.values())
        try:
            turn = await self._database.transaction(
                lambda session: self._ledger.turn(session, answers, candidates)
            )
        except BaseException:
            self._results = results + self._results
            # the commit may have happened although its answer did not come
            self._doubtful += candidates
            raise
        for row, result in answers:
            self._flying.pop(row.id, None)
            self._observer.answered(self._channel.name, result.outcome)
            self._consider(result)
        self._tell(turn)
        return turn

    def _submit(self, turn: Turn, fresh_until: float) -> None:
        messages = []
        for row, recipient in turn.sending:
            self._flying[row.id] = row
            try:
                messages.append(self._outgoing(row, recipient, fresh_until))
            except ContentMissing as missing:
                code = missing.reason
                self._report(
                    Result(row.id, OutcomeClass.SKIP_RECIPIENT, code, missing.variable or "")
                )
        for message in self._lanes.submit(messages):
            self._report(Result(message.delivery_id, None, "no-lane"))

    def _outgoing(self, row: Claimed, recipient: Recipient, fresh_until: float) -> Outgoing:
        piece = self._materials[material_key(row)].for_person(row.vals, recipient.fields)
        leave = self._filler.unsubscribe_url(row.id)
        return Outgoing(
            delivery_id=row.id,
            address=recipient.address,
            content=piece.content,
            values=self._filler.fill(piece, row.id, leave),
            sender=piece.sender,
            unsubscribe_url=leave if row.marketing else None,
            fresh_until=fresh_until,
        )

    def _consider(self, result: Result) -> None:
        """What a result says of the channel as a whole."""
        if result.outcome is OutcomeClass.RATE_LIMITED and result.scope == "channel":
            wait = result.retry_after or timedelta(seconds=_CONNECT_PAUSE)
            self._pause("rate_limited", wait.total_seconds())
        elif result.outcome is OutcomeClass.PERMANENT_CONFIG:
            self.status.trouble = f"configuration: {result.code}"[:100]
        elif result.outcome is OutcomeClass.OK:
            self.status.trouble = None

    def _tell(self, turn: Turn) -> None:
        for state, reason in turn.changed:
            self._observer.changed(self._channel.name, state, reason)
        if turn.late:
            log.warning("%d results of %s came too late", turn.late, self._channel.name)
            self._observer.late(self._channel.name, turn.late)

    # claims

    async def _refill(self, marketing: bool) -> bool:
        """Claim when little is left and there is more, or when somebody said that there is something new."""
        low = len(self._urgent) + len(self._normal) < self._batch // 2
        if len(self._urgent) >= self._batch:
            return False  # what waits behind them waits in the ledger, for whoever is free
        asked = self._look and self._is_due("look", _LOOK)
        again = self._more and low and marketing
        if self._pausing() or not (asked or again or self._is_due("poll", _POLL)):
            return False
        self._look = False
        # what was planned while we have enough in hand is looked for when we have not
        self._more = True
        known = self._materials.keys()
        claim = await self._database.transaction(
            lambda session: self._ledger.claim(
                session, self._channel.name, self._batch, known, marketing=marketing and low
            )
        )
        if len(self._materials) > _MATERIALS:
            self._forget_materials()
        self._materials |= claim.materials
        self._forget_copies(claim.rows)
        for row in claim.rows:
            (self._normal if row.marketing else self._urgent).append(row)
        if low and marketing:
            # a full batch says that there is more
            self._more = len(claim.rows) >= self._batch
        return bool(claim.rows)

    def _forget_copies(self, rows: list[Claimed]) -> None:
        """Old copies of rows that were lost while we slept, and that we have claimed again."""
        ids = {row.id for row in rows}
        for queue in (self._urgent, self._normal):
            if any(row.id in ids for row in queue):
                kept = [row for row in queue if row.id not in ids]
                queue.clear()
                queue.extend(kept)

    def _forget_materials(self) -> None:
        used = {material_key(row) for row in (*self._urgent, *self._normal, *self._doubtful)}
        self._materials = {key: m for key, m in self._materials.items() if key in used}

    async def _give_back(self, *, all_rows: bool) -> None:
        rows = [*self._normal, *(self._urgent if all_rows else ())]
        if rows:
            await self._database.transaction(lambda session: self._ledger.release(session, rows))
        self._normal.clear()
        if all_rows:
            self._urgent.clear()
        self._look = True

    async def _unmark(self) -> None:
        rows = self._doubtful
        ours = await self._database.transaction(lambda session: self._ledger.unmark(session, rows))
        # rows whose mark was rolled back are still claimed: the next mark finds out by itself
        for row in rows:
            (self._normal if row.marketing else self._urgent).appendleft(row)
        log.info("%d marks of %s were taken back", ours, self._channel.name)
        self._doubtful = []

    # pauses and duties

    def _gate(self) -> bool:
        self.status.marketing = self._closed()
        return self.status.marketing is None

    def _pausing(self) -> bool:
        if self._clock.monotonic() < self._paused_until:
            return True
        self.status.paused = None
        return False

    def _pause(self, reason: str, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        if until > self._paused_until:
            self._paused_until = until
            self.status.paused = reason

    def _meet_refusal(self) -> None:
        refusal, self._lanes.refusal = self._lanes.refusal, None
        if refusal is None:
            return
        config = refusal.outcome is OutcomeClass.PERMANENT_CONFIG
        wait = refusal.retry_after.total_seconds() if refusal.retry_after else 0.0
        self._pause(refusal.code, max(wait, _CONFIG_PAUSE if config else _CONNECT_PAUSE))
        self.status.trouble = f"{refusal.outcome}: {refusal.code}"[:100]
        log.warning("channel %s can't be reached: %s", self._channel.name, refusal.code)

    def _is_due(self, duty: str, every: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due_at.get(duty, float("-inf")):
            return False
        self._due_at[duty] = now + every
        return True

    async def _duties(self) -> None:
        if self._is_due("renew", _RENEW):
            rows = [*self._flying.values(), *self._urgent, *self._normal]
            if rows:
                await self._database.transaction(lambda session: self._ledger.renew(session, rows))
        if self._is_due("reap", _REAP):
            self._tell(await self._database.transaction(self._ledger.reap))
        if self._is_due("sweep", _SWEEP if self._places else _POLL):
            places = self._places
            self._places = await self._database.transaction(
                lambda session: self._ledger.sweep(session, places)
            )

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()
