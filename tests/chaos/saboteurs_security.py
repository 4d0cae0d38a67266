"""Saboteurs of security: what callers must not be able to tell or to take (S9, S10)."""

from collections.abc import Callable
from typing import Any

from services.capture.leads.service import LeadDesk, Prepared
from services.capture.leads.submission import Accepted, Submission
from services.shared.process.bounds import BoundedProtocol, Patience
from tests.chaos.pieces import replace


def known_answered_early() -> None:
    """Who left this contact before is answered without a commit: there is nothing new in it."""
    known: set[str] = set()
    careful = LeadDesk._submit

    async def hasty(desk: LeadDesk, prepared: Prepared, submission: Submission) -> Accepted:
        key = prepared.row.contact_key
        if key in known:
            return prepared.accepted
        known.add(key)
        return await careful(desk, prepared, submission)

    replace(LeadDesk, "_submit", hasty)


def known_told() -> None:
    """The answer says whether the contact was known."""
    known: set[str] = set()
    careful = LeadDesk._submit

    async def talkative(desk: LeadDesk, prepared: Prepared, submission: Submission) -> Accepted:
        accepted = await careful(desk, prepared, submission)
        key = prepared.row.contact_key
        if key in known:
            return accepted._replace(text=accepted.text.replace("accepted", "known"))
        known.add(key)
        return accepted

    replace(LeadDesk, "_submit", talkative)


def no_read_deadline() -> None:
    """Callers may take as long as they like."""

    def endless(_patience: Patience, _connections: Any, _now: float) -> int:
        return 0

    replace(Patience, "look", endless)


def endless_heads() -> None:
    """A head may be as long as it likes."""

    def uncounted(_protocol: BoundedProtocol, _loose: int) -> None:
        return

    replace(BoundedProtocol, "_count", uncounted)


TIMING: dict[str, Callable[[], None]] = {
    "known-answered-early": known_answered_early,
    "known-told": known_told,
}
BOMBS: dict[str, Callable[[], None]] = {
    "no-read-deadline": no_read_deadline,
    "endless-heads": endless_heads,
}
SABOTEURS = {**TIMING, **BOMBS}
