"""R13: 200 identical posts at once with one Idempotency-Key, a crash in between, the key with another body."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.case import Case, Form, Trial
from tests.chaos.client import Answer, Client
from tests.chaos.crash import WINDOW
from tests.chaos.crowd import SLUG
from tests.chaos.judging import judge
from tests.chaos.saboteurs_once import SABOTEURS
from tests.chaos.stage import BAIT, Stage, play, quiet
from tests.chaos.switches import HELD_COMMITS
from tests.chaos.verdict import Verdict

_POSTS = 200
_LANES = 4
_TWIN_WAITS = 2.0
_LATEST = 0.06
"""Seconds: a kill comes at most so long after the posts have begun."""

_SETTLED = 19.0
"""Seconds after which a post must have its answer: well behind the two that a twin waits, also on a busy machine."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many keys are posted plainly, through a crash, and while the disk takes long."""

    plain: int
    crashed: int
    held: int


_SIZES: dict[Form, Size] = {
    "test": Size(1, 1, 1),
    "short": Size(10, 8, 2),
    "full": Size(100, 50, 5),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a post was answered, and after how many seconds; None: the connection broke."""

    answer: Answer | None
    seconds: float

    @property
    def status(self) -> int:
        return self.answer.status if self.answer else 0


class Person:
    """Somebody whose program posts one submission many times."""

    def __init__(self, stage: Stage, number: int) -> None:
        self._stage = stage
        self.address = f"repeated{number}.{stage.seed}@people.example"
        self._headers = {"idempotency-key": f"{stage.seed}-{number}"}
        self._answers: set[bytes] = set()

    async def post(self, client: Client, language: str = "en") -> Said:
        """Send it once."""
        begun = time.monotonic()
        body = {"contact": {"email": self.address}, "language": language}
        answer = await client.attempt(
            "POST", f"/v1/baits/{SLUG}/leads", body=body, headers=self._headers
        )
        return Said(answer, time.monotonic() - begun)

    async def posts(self, client: Client, count: int = _POSTS) -> list[Said]:
        """Send it so many times at once."""
        return list(await asyncio.gather(*(self.post(client) for _ in range(count))))

    def accepted(self, said: Sequence[Said]) -> None:
        """Note the one lead that all of them must have got."""
        self.same(said)
        for each in said:
            if each.answer and each.status == 202:
                lead = each.answer.json()["lead_id"]
                self._stage.book.note("lead", id=lead, address=self.address)
                return
        self._stage.verdict.faults.append("a key got no answer")

    def same(self, said: Sequence[Said]) -> None:
        """Whoever was answered, now and before, has got the same."""
        self._answers |= {each.answer.body for each in said if each.answer and each.status == 202}
        if len(self._answers) > 1:
            self._stage.verdict.faults.append(f"{len(self._answers)} different answers for one key")


async def _run(trial: Trial) -> Verdict:
    size = _SIZES[trial.form]
    switches = trial.folder / "switches"
    switches.mkdir()

    async def act(stage: Stage) -> None:
        await stage.client.call("POST", "/v1/baits", BAIT)
        chance = random.Random(f"once {stage.seed}")
        people = iter([Person(stage, number) for number in range(sum(_counts(size)))])
        plain = [next(people) for _ in range(size.plain)]
        for person in plain:
            await _at_once(stage, person)
        for number in range(size.crashed):
            before = plain[number % len(plain)]
            await _through_a_crash(stage, before, next(people), chance)
        for _ in range(size.held):
            held = switches / HELD_COMMITS
            await _on_a_slow_disk(stage, next(people), next(people), held)
        await quiet(stage)
        await judge(stage)

    verdict = await play("R13", trial, act, lanes=_LANES, changes=(HELD_COMMITS,))
    verdict.unknown_bound = 2 * _LANES * WINDOW * verdict.kills
    return verdict


def _counts(size: Size) -> tuple[int, int, int]:
    return size.plain, size.crashed, 2 * size.held


async def _at_once(stage: Stage, person: Person) -> None:
    """All get the same 202; the other body is refused."""
    async with _callers(stage) as client:
        said = await person.posts(client)
        _none_but(stage, said, {202, 409}, "posts at once")
        _patiently(stage, said)
        person.accepted(said)
        await _other_body(stage, person, client)


async def _through_a_crash(
    stage: Stage, earlier: Person, person: Person, chance: random.Random
) -> None:
    """`kill -9` while they are answered; whoever asks again, also of earlier, gets the one answer."""
    async with _callers(stage) as client:
        posting = asyncio.create_task(person.posts(client))
        await asyncio.sleep(chance.uniform(0.0, _LATEST))
        await stage.victim.strike(random.Random(), "capture")
        before = await posting
    _none_but(stage, before, {202, 0}, "posts before a crash")
    async with _callers(stage) as client:
        after = await person.posts(client)
        _none_but(stage, after, {202}, "posts after a crash")
        person.accepted([*before, *after])
        known = [await earlier.post(client)]
        _none_but(stage, known, {202}, "a post of before a crash, repeated after it")
        earlier.same(known)
        await _other_body(stage, person, client)


async def _on_a_slow_disk(stage: Stage, waiting: Person, crashed: Person, held: Any) -> None:
    """Twins wait for 2 s, then are told to come again; what was under way at a crash is not under way after it."""
    async with _callers(stage) as client:
        held.touch()
        first = asyncio.create_task(waiting.post(client))
        await asyncio.sleep(0.2)
        # one whose answer no crowd delays: what it sees is how long capture let it wait
        alone = asyncio.create_task(waiting.post(client))
        await asyncio.sleep(0.2)
        twins = asyncio.create_task(waiting.posts(client))
        await asyncio.sleep(0.2)
        other = await waiting.post(client, "zh-CN")
        _none_but(stage, [other], {422}, "another body while the first is under way")
        said = [await alone, *await twins]
        _none_but(stage, said, {409}, "posts while the first is under way")
        _patiently(stage, said)
        held.unlink()
        later = [await first, *await waiting.posts(client)]
        _none_but(stage, later, {202}, "posts after the first was done")
        waiting.accepted(later)
    async with _callers(stage) as client:
        held.touch()
        lost = asyncio.create_task(crashed.posts(client))
        await asyncio.sleep(0.3)
        _kill(stage)
        held.unlink()
        _none_but(stage, await lost, {0}, "posts that were under way at a crash")
        await stage.victim.strike(random.Random(), "capture")
    async with _callers(stage) as client:
        said = await crashed.posts(client)
        _none_but(stage, said, {202}, "posts of what was under way at the crash")
        crashed.accepted(said)


def _patiently(stage: Stage, said: Sequence[Said]) -> None:
    """Who was told to come again had waited, and hears when to.

    A caller's time begins before capture's and ends after it, by the same clock: the bound is exact.
    """
    twins = [each for each in said if each.answer and each.status == 409]
    if any(each.answer and "retry-after" not in each.answer.headers for each in twins):
        stage.verdict.faults.append("409 without Retry-After")
    if twins and (shortest := min(each.seconds for each in twins)) < _TWIN_WAITS:
        stage.verdict.faults.append(f"409 after {shortest:.4f} s already")


async def _other_body(stage: Stage, person: Person, client: Client) -> None:
    said = await person.post(client, "zh-CN")
    _none_but(stage, [said], {422}, "the key with another body")


def _callers(stage: Stage) -> Client:
    """A program with connections of its own, to capture itself: those of before a crash are worth nothing after it."""
    return Client(stage.victim.metrics_urls[0])


def _kill(stage: Stage) -> None:
    """`kill -9` of what takes leads, and no start."""
    if stage.victim.mode == "scaled":
        stage.scaled.processes["capture"].kill()
    else:
        stage.victim.kill()


def _none_but(stage: Stage, said: Sequence[Said], right: set[int], what: str) -> None:
    wrong = sorted({each.status for each in said} - right)
    if wrong:
        count = sum(each.status in wrong for each in said)
        stage.verdict.faults.append(f"{what}: {count} were answered with {wrong}")
    slow = [each.seconds for each in said if each.seconds > _SETTLED]
    if slow:
        stage.verdict.faults.append(f"{what}: {len(slow)} took up to {max(slow):.1f} s")


CASE = Case(
    "R13",
    "200 identical posts at once with one Idempotency-Key, a crash in between",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=tuple(SABOTEURS),
)
