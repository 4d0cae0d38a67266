"""S8: list bombing through the form and through JSON: nobody's mailbox is filled by others."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.ground import System, embedded_system

POSTS = 10_000
VICTIMS = 100
ATONCE = 50


def spelt(victim: int, chance: random.Random) -> str:
    """One of the ways to write the address of a victim's mailbox."""
    name = f"victim{victim}"
    tag = f"+{chance.randrange(1_000_000)}" if chance.random() < 0.5 else ""
    address = f"{name}{tag}@people.example"
    return address.upper() if chance.random() < 0.2 else address


async def mails(system: System) -> Counter[str]:
    """How many mails each mailbox has got."""
    found: Counter[str] = Counter()
    cursor: str | None = None
    while True:
        params: dict[str, Any] = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        page = (
            await system.client.get("/mailbox/messages", params=params, headers=system.admin)
        ).json()
        for item in page["items"]:
            name, _, domain = item["recipient"].lower().partition("@")
            found[f"{name.partition('+')[0]}@{domain}"] += 1
        cursor = page["next"]
        if cursor is None:
            return found


@pytest.mark.timeout(600)
async def test_ten_thousand_posts_are_one_mail_for_each_of_a_hundred_victims(
    tmp_path: Path,
) -> None:
    chance = random.Random(20261124)
    async with embedded_system(tmp_path) as system:
        for number in range(5):
            made = await system.client.post(
                "/v1/baits",
                json={
                    "slug": f"list-{number}",
                    "title": "A list",
                    "resource": {"kind": "text", "text": "It."},
                    "release": "verified",
                },
                headers=system.admin,
            )
            assert made.status_code == 201, made.text
        gate = asyncio.Semaphore(ATONCE)

        async def post(number: int) -> None:
            address, bait = spelt(number % VICTIMS, chance), f"list-{chance.randrange(5)}"
            source = f"10.{chance.randrange(256)}.{chance.randrange(256)}.1"
            headers = {"x-forwarded-for": source}
            async with gate:
                if number % 2:
                    answer = await system.client.post(
                        f"/v1/baits/{bait}/leads",
                        json={"contact": {"email": address}},
                        headers=headers,
                    )
                    assert answer.status_code == 202, answer.text
                else:
                    answer = await system.client.post(
                        f"/f/{bait}", data={"email": address}, headers=headers
                    )
                    assert answer.status_code == 303, answer.text

        for begin in range(0, POSTS, 1000):
            await asyncio.gather(*(post(number) for number in range(begin, begin + 1000)))
        await system.settle(240)
        found = await until_steady(system)
    assert found == {f"victim{number}@people.example": 1 for number in range(VICTIMS)}


async def until_steady(system: System) -> Counter[str]:
    """The mails when nothing waits to be sent any more."""
    async with asyncio.timeout(240):
        while await waiting(system):  # noqa: ASYNC110  # a ledger has no event
            await asyncio.sleep(0.1)
    return await mails(system)


async def waiting(system: System) -> int:
    """How many messages are still to be decided."""
    from services.push.deliveries.repository import LEDGER

    states = ("planned", "claimed", "sending")
    return await system.grounds["push"].database.read(
        lambda s: len(s.execute(LEDGER.select().where(LEDGER.c.state.in_(states))).all())
    )
