"""The people: they leave a contact, follow the link of the mail, read, click, ask, buy and leave.

What they may count on afterwards is only what was acknowledged: that, and nothing else, goes into the book.
"""

import asyncio
import random
from collections.abc import Collection, Coroutine
from dataclasses import dataclass
from typing import Any

from tests.chaos.book import Book
from tests.chaos.client import Client, GaveUp
from tests.chaos.post import Mail, Postbox

SLUG = "price-list"
AT_ONCE = 24
"""How many of them do something at the same moment."""

_READING = (0.6, 1.6)
"""Seconds between a mail and what its reader does: well behind the moment at which it counts as sent."""


@dataclass(frozen=True, slots=True)
class Person:
    """One of them, and what they are going to do."""

    number: int
    address: str
    agrees: bool
    verifies: bool
    twice: bool
    """Leaves the contact a second time, written in another way."""


def _chance(seed: int) -> random.Random:
    return random.Random(f"crowd {seed}")


def _person(seed: int, number: int, chance: random.Random) -> Person:
    return Person(
        number,
        f"person{number}.{seed}@people.example",
        agrees=chance.random() < 0.96,
        verifies=chance.random() < 0.97,
        twice=chance.random() < 0.04,
    )


class Crowd:
    """Everybody, and how far they are."""

    def __init__(self, client: Client, postbox: Postbox, book: Book, seed: int) -> None:
        self._client = client
        self._postbox = postbox
        self._book = book
        self._seed = seed
        self._random = _chance(seed)
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._busy: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self.people: dict[str, Person] = {}
        self.verified: set[str] = set()
        self.left: set[str] = set()

    # submissions

    async def come(self, count: int) -> None:
        """So many more people leave their contact; all are answered when this returns."""
        fresh = [
            _person(self._seed, number, self._random)
            for number in range(len(self.people), len(self.people) + count)
        ]
        coming: list[asyncio.Task[None]] = []
        for person in fresh:
            self.people[person.address] = person
            coming.append(self._start(self._submit(person, person.address, 1)))
            if person.twice:
                again = self._submit(person, person.address.upper(), 2)
                coming.append(self._start(again))
        await asyncio.wait(coming)
        self._raise()

    def remember(
        self, seed: int, count: int, verified: Collection[str], left: Collection[str]
    ) -> None:
        """The people of an earlier run, and how far they were."""
        chance = _chance(seed)
        for person in [_person(seed, number, chance) for number in range(count)]:
            self.people[person.address] = person
        self.verified.update(verified)
        self.left.update(left)

    async def _submit(self, person: Person, address: str, time: int) -> None:
        async with self._gate:
            answer = await self._client.ask(
                "POST",
                f"/v1/baits/{SLUG}/leads",
                body={
                    "contact": {"email": address},
                    "consents": {"marketing.email": True} if person.agrees else {},
                    "language": "en",
                },
                headers={"idempotency-key": f"{self._seed}-{person.number}-{time}"},
            )
        if answer.status != 202:
            raise GaveUp(f"a submission was answered with {answer.status}: {answer.text}")
        self._book.note("lead", id=answer.json()["lead_id"], address=person.address)

    # mail

    async def read_mail(self) -> None:
        """Look for mail and act on it, until cancelled."""
        while True:
            for mail in self._postbox.fetch():
                if mail.kind == "bait":
                    person = self.people.get(mail.recipient)
                    if person is not None and person.verifies:
                        self._start(self._open(mail))
                else:
                    self._start(self._react(mail, random.Random(f"{self._seed} {mail.recipient}")))
            await asyncio.sleep(0.02)

    async def _open(self, mail: Mail) -> None:
        async with self._gate:
            answer = await self._client.ask("POST", mail.links["r"])
        if answer.status != 200:
            raise GaveUp(f"a bait's link was answered with {answer.status}")
        if mail.recipient not in self.verified:
            self.verified.add(mail.recipient)
            self._book.note("verified", address=mail.recipient)

    async def _react(self, mail: Mail, chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(*_READING))
        if chance.random() < 0.25:
            await self._follow(mail, "displayed", mail.links["o"], 200)
        if chance.random() < 0.4:
            await self._follow(mail, "clicked", mail.links["c"], 302)
        if chance.random() < 0.04:
            await self._report("inquired", mail.recipient, f"T-{mail.delivery}")
        if chance.random() < 0.04:
            await self._report("converted", mail.recipient, f"O-{mail.delivery}", amount=19900)
        if chance.random() < 0.03:
            await self._unsubscribe(mail)

    async def _follow(self, mail: Mail, what: str, link: str, expected: int) -> None:
        async with self._gate:
            answer = await self._client.ask("GET", link)
        if answer.status != expected:
            raise GaveUp(f"{what}: a signed link was answered with {answer.status}")
        self._book.note(what, delivery=mail.delivery)

    async def _unsubscribe(self, mail: Mail) -> None:
        assert mail.one_click is not None
        body = {"List-Unsubscribe": "One-Click"}
        async with self._gate:
            answer = await self._client.ask("POST", mail.one_click, form=body)
        if answer.status != 200:
            raise GaveUp(f"one-click was answered with {answer.status}")
        self._book.note("unsubscribed", delivery=mail.delivery, address=mail.recipient)

    # the shop

    async def leave_by_phone(self, count: int) -> None:
        """So many tell the call centre that they want no more."""
        leaving = sorted(a for a in self.verified if self.people[a].agrees)[
            :: max(1, 1000 // count)
        ]
        for address in leaving[:count]:
            await self._report("unsubscribed", address, None)
            self.left.add(address)
            self._book.note("left", address=address)

    async def _report(
        self, kind: str, address: str, order: str | None, amount: int | None = None
    ) -> None:
        report: dict[str, Any] = {
            "kind": kind,
            "source": "shop",
            "contact": {"channel": "email", "address": address},
        }
        if order is not None:
            report["order_id"] = order
        if amount is not None:
            report |= {"amount": amount, "currency": "CNY"}
        async with self._gate:
            answer = await self._client.ask("POST", "/v1/engagements", body=report)
        if answer.status != 202:
            raise GaveUp(f"a report was answered with {answer.status}: {answer.text}")
        if order is not None:
            self._book.note(kind, order=order, amount=amount or 0)

    # what they are at

    @property
    def submitted(self) -> int:
        """How many submissions were acknowledged."""
        return self._book.count("lead")

    @property
    def recipients(self) -> set[str]:
        """Who a campaign may go to: agreed, verified, not left."""
        return {a for a in self.verified - self.left if self.people[a].agrees}

    def _start(self, doing: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(doing)
        self._busy.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    @property
    def busy(self) -> int:
        """How many are still doing something."""
        return len(self._busy)

    def _raise(self) -> None:
        if self._failures:
            raise self._failures[0]

    async def calm(self, seconds: float = 60.0) -> None:
        """Wait until nobody does anything. Raises what went wrong for anybody."""
        end = asyncio.get_running_loop().time() + seconds
        while self._busy and not self._failures:
            if asyncio.get_running_loop().time() > end:
                raise GaveUp(f"{len(self._busy)} people still wait for an answer")
            await asyncio.sleep(0.05)
        self._raise()

    def go_home(self) -> None:
        """Everybody stops."""
        for task in self._busy:
            task.cancel()
