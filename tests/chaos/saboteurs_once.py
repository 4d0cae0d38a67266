"""Saboteurs of Idempotency-Key: what must not happen when a post is repeated (R13)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlmodel import Session

from services.capture.baits.live import LiveBait
from services.capture.leads import repository, service
from services.capture.leads.repository import Kept
from services.capture.leads.service import LeadDesk
from services.capture.leads.submission import Accepted, Submission
from services.shared.errors import InProgress
from tests.chaos.pieces import replace, switch


def keys_ignored() -> None:
    """Every post is a lead of its own, whatever its key says."""
    careful = LeadDesk.accept

    async def hasty(desk: LeadDesk, bait: LiveBait, submission: Submission) -> Accepted:
        return await careful(desk, bait, submission._replace(once=None))

    replace(LeadDesk, "accept", hasty)


def keys_in_memory() -> None:
    """Answers are kept in memory: a restart forgets them."""
    known: dict[str, Kept] = {}

    def hasty(_session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[str, Kept]:
        found = {row["key"]: known[row["key"]] for row in rows if row["key"] in known}
        for row in rows:
            known.setdefault(row["key"], Kept(row["body_hash"], row["answer"]))
        return found

    replace(repository, "claim", hasty)


def running_kept() -> None:
    """That a key is being worked on is written down, and outlives the crash."""
    careful = LeadDesk._take_once

    async def hasty(desk: LeadDesk, bait: LiveBait, submission: Submission, once: Any) -> Accepted:
        running = switch(f"running-{once.key}")
        if running.exists():
            raise InProgress(retry_after=1)
        running.touch()
        try:
            return await careful(desk, bait, submission, once)
        finally:
            running.unlink()

    replace(LeadDesk, "_take_once", hasty)


def any_body() -> None:
    """A key's answer is given for any body."""
    careful = LeadDesk.accept

    async def hasty(desk: LeadDesk, bait: LiveBait, submission: Submission) -> Accepted:
        once = submission.once
        return await careful(
            desk, bait, submission._replace(once=once and once._replace(body_hash="any"))
        )

    replace(LeadDesk, "accept", hasty)


def hurried() -> None:
    """Who comes while the first is under way is told to come again before two seconds are over."""
    assert service._WAIT_FOR_TWIN == 2.0
    service._WAIT_FOR_TWIN = 1.9


SABOTEURS: dict[str, Callable[[], None]] = {
    "keys-ignored": keys_ignored,
    "keys-in-memory": keys_in_memory,
    "running-kept": running_kept,
    "any-body": any_body,
    "hurried": hurried,
}
