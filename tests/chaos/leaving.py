"""Leads of named people, posted by a case itself."""

import asyncio
import time
from collections.abc import Sequence

from tests.chaos.client import GaveUp
from tests.chaos.crowd import SLUG
from tests.chaos.stage import Stage


async def leave(stage: Stage, address: str, time_: int = 1, language: str = "en") -> str:
    """Leave a contact, for the `time_`-th time, until it is answered; the lead's id, in the book."""
    answer = await stage.client.ask(
        "POST",
        f"/v1/baits/{SLUG}/leads",
        body={"contact": {"email": address}, "language": language},
        headers={"idempotency-key": f"{address}-{time_}"},
    )
    if answer.status != 202:
        raise GaveUp(f"a submission was answered with {answer.status}: {answer.text}")
    lead = str(answer.json()["lead_id"])
    stage.book.note("lead", id=lead, address=address)
    return lead


async def leave_one_by_one(stage: Stage, addresses: Sequence[str], rate: float) -> dict[str, float]:
    """So many a second leave their contact, whatever the answers take; by lead, when it was answered."""
    answered: dict[str, float] = {}

    async def one(address: str) -> None:
        lead = await leave(stage, address)
        answered[lead.replace("-", "")] = time.monotonic()

    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, address in enumerate(addresses):
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
            group.create_task(one(address))
    return answered
