"""S9: known and unknown addresses get identical bytes, and nothing can be told from how long that takes."""

import asyncio
import bisect
import random
import re
import time
from collections import Counter
from collections.abc import Sequence

from tests.chaos.case import Case, Form, Trial
from tests.chaos.client import Answer
from tests.chaos.crowd import SLUG
from tests.chaos.flood import Flood
from tests.chaos.saboteurs_security import TIMING
from tests.chaos.stage import BAIT, Stage, play, quiet
from tests.chaos.verdict import Verdict

_EACH: dict[Form, int] = {"test": 1000, "short": 5000, "full": 20_000}
"""How many known and how many unknown addresses are tried by the JSON way; by the form, half as many."""

_MOST = 0.05
"""How far from a half, which is a guess, the area under the curve may lie."""

_WARM = 200
_CHANGING = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|t=[A-Za-z0-9_-]{20,}"
)


async def _run(trial: Trial) -> Verdict:
    each = _EACH[trial.form]

    async def act(stage: Stage) -> None:
        await stage.client.call("POST", "/v1/baits", BAIT)
        known = await _meet(stage, each + _WARM)
        for way, share in (("json", 1), ("form", 2)):
            await _compare(stage, way, known, each // share)
            await quiet(stage)

    return await play("S9", trial, act, lanes=4)


async def _meet(stage: Stage, count: int) -> list[str]:
    """So many addresses that are known from now on."""
    flood = Flood(stage.embedded.port, f"known.{stage.seed}.", 32)
    while len(flood.accepted) < count:
        await flood.run(0.5)
    await quiet(stage)
    for address in flood.accepted:
        stage.book.note("lead", address=address)
    return flood.accepted


async def _compare(stage: Stage, way: str, known: Sequence[str], each: int) -> None:
    """Ask for one after the other, in an order that nobody can foresee; judge bytes and times."""
    chance = random.Random(f"timing {way} {stage.seed}")
    unknown = [f"new.{way}{number}.{stage.seed}@people.example" for number in range(each + _WARM)]
    asked = [(True, address) for address in known[: each + _WARM]]
    asked += [(False, address) for address in unknown]
    chance.shuffle(asked)
    shapes: dict[bool, Counter[bytes]] = {True: Counter(), False: Counter()}
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for number, (is_known, address) in enumerate(asked):
        request = _request(stage, way, address)
        begun = time.perf_counter()
        answer = await stage.client.once(request)
        took = time.perf_counter() - begun
        if answer is None:
            stage.verdict.faults.append(f"{way}: a request got no answer")
            return
        shapes[is_known][_shape(answer)] += 1
        if number >= 2 * _WARM:
            seconds[is_known].append(took)
        if number % 50 == 0:
            await asyncio.sleep(0.01)  # the sink is in this loop: let it take its mail
    if len(shapes[True] | shapes[False]) != 1:
        stage.verdict.faults.append(f"{way}: the answers differ: {_differing(shapes)}")
    area = area_under_curve(seconds[True], seconds[False])
    stage.verdict.figures[f"{way}_auc_permille"] = round(1000 * area)
    if abs(area - 0.5) >= _MOST:
        medians = {who: sorted(times)[len(times) // 2] * 1e6 for who, times in seconds.items()}
        stage.verdict.faults.append(
            f"{way}: who is known can be told by the time, AUC {area:.3f}; medians in µs:"
            f" known {medians[True]:.0f}, unknown {medians[False]:.0f}"
        )


def _request(stage: Stage, way: str, address: str) -> bytes:
    if way == "form":
        content = ("application/x-www-form-urlencoded", f"email={address}".encode())
        return stage.client.request("POST", f"/f/{SLUG}", content, {})
    body = b'{"contact": {"email": "%b"}, "language": "en"}' % address.encode()
    return stage.client.request("POST", f"/v1/baits/{SLUG}/leads", ("application/json", body), {})


def _shape(answer: Answer) -> bytes:
    """An answer without what differs between any two: ids, tokens, the time."""
    headers = sorted(
        f"{name}: {value}".encode()
        for name, value in answer.headers.items()
        if name not in ("date", "x-request-id")
    )
    whole = b"\n".join([b"%d" % answer.status, *headers, b"", answer.body])
    return _CHANGING.sub(b"*", whole)


def _differing(shapes: dict[bool, Counter[bytes]]) -> list[str]:
    return [
        f"{'known' if who else 'unknown'} {count} x {shape[:200]!r}"
        for who, found in shapes.items()
        for shape, count in found.most_common(3)
    ]


def area_under_curve(first: Sequence[float], second: Sequence[float]) -> float:
    """How likely one of the first is larger than one of the second; a half when nothing can be told."""
    ordered = sorted(second)
    wins = sum(
        bisect.bisect_left(ordered, value) + bisect.bisect_right(ordered, value) for value in first
    )
    return wins / (2 * len(first) * len(second))


CASE = Case(
    "S9",
    "known against unknown addresses: identical bytes, and times of which nothing can be told",
    _run,
    saboteurs=tuple(TIMING),
)
