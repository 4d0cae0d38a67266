"""Parts of the program that stand still while a file is there, to be put in by `tests.chaos.changed`.

The files are made by the case, in the folder that CHAOS_SWITCHES names.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sqlmodel import Session

from services.capture.leads.service import Prepared
from services.metrics.engagements.settling import Settler
from services.profile.leads.intake import Intake
from services.shared.bus import Batch, Subscription
from services.shared.events import Received
from services.shared.events.leads import LeadSubmitted
from services.shared.group_commit import GroupCommit
from services.shared.outbox import Relay
from services.shared.runner.consumer import ConsumerRunner
from tests.chaos.pieces import replace, switch, while_off

HELD_COMMITS = "held-commits"
CHOKING = "choking"
STOPPING = "stopping"
POISONED = "poison"
"""How the addresses begin that a choking program can't handle."""

_LOOK = 0.05


def hold_commits() -> None:
    """Leads wait for their commit, as they do behind a disk that takes long."""
    prompt = GroupCommit._attempt

    async def held(commit: GroupCommit[Any, Any], batch: list[tuple[Any, Any]]) -> Any:
        if isinstance(batch[0][0], Prepared):
            await while_off(HELD_COMMITS)
        return await prompt(commit, batch)

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


def stop_parts() -> None:
    """Consumers, relays and what settles engagements stand still while a file of their name is there."""
    take, step, settle = ConsumerRunner._take, Relay.step, Settler.step

    async def taken(
        runner: ConsumerRunner,
        subscription: Subscription,
        batches: Sequence[Batch],
        stop: asyncio.Event,
    ) -> None:
        name = f"consumer {runner.spec.name}"
        while _stopped(name) and not stop.is_set():  # noqa: ASYNC110  # another process's file
            await asyncio.sleep(_LOOK)
        if not stop.is_set():
            await take(runner, subscription, batches, stop)

    async def stepped(relay: Relay) -> int:
        return 0 if _stopped(f"relay {relay._holder.partition('-')[0]}") else await step(relay)

    async def settled(settler: Settler) -> int:
        return 0 if _stopped("consumer metrics") else await settle(settler)

    replace(ConsumerRunner, "_take", taken)
    replace(Relay, "step", stepped)
    replace(Settler, "step", settled)


def _stopped(part: str) -> bool:
    return switch(f"stopped {part}").exists()


SWITCHES: dict[str, Callable[[], None]] = {
    HELD_COMMITS: hold_commits,
    CHOKING: choke,
    STOPPING: stop_parts,
}
