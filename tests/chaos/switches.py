"""Parts of the program that stand still while a file is there, to be put in by `tests.chaos.changed`.

The files are made by the case, in the folder that CHAOS_SWITCHES names.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlmodel import Session

from services.capture.leads.service import Prepared
from services.profile.leads.intake import Intake
from services.shared.events import Received
from services.shared.events.leads import LeadSubmitted
from services.shared.group_commit import GroupCommit
from tests.chaos.pieces import replace, switch, while_off

HELD_COMMITS = "held-commits"
CHOKING = "choking"
POISONED = "poison"
"""How the addresses begin that a choking program can't handle."""


def hold_commits() -> None:
    """Leads wait for their commit, as they do behind a disk that takes long."""
    prompt = GroupCommit._attempt

    async def held(commit: GroupCommit[Any, Any], items: Sequence[Any]) -> Any:
        if isinstance(items[0], Prepared):
            await while_off(HELD_COMMITS)
        return await prompt(commit, items)

    replace(GroupCommit, "_attempt", held)


def choke() -> None:
    """Profile can't handle the first lead of somebody poisonous, who writes in Chinese."""
    healthy = Intake.handle

    def choking(intake: Intake, session: Session, events: Sequence[Received[Any]]) -> None:
        leads = [item.event for item in events if isinstance(item.event, LeadSubmitted)]
        for lead in leads:
            poisoned = (lead.contacts[0].address or "").startswith(POISONED)
            if poisoned and lead.language == "zh-CN" and switch(CHOKING).exists():
                raise ValueError("choked")
        healthy(intake, session, events)

    replace(Intake, "handle", choking)


SWITCHES: dict[str, Callable[[], None]] = {HELD_COMMITS: hold_commits, CHOKING: choke}
