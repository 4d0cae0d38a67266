"""R12: a mail server that cuts, refuses, stalls and answers wrongly, asked for by the recipient's address."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping

from bench.sinks.smtp import Options
from tests.chaos.case import Case, Form, NotHere, Trial
from tests.chaos.crowd import SLUG
from tests.chaos.stage import BAIT, Stage, Still, play
from tests.chaos.stores import Row
from tests.chaos.verdict import Verdict
from tests.components.processes import free_port
from tests.components.waiting import TooLate

_SIZES: dict[Form, int] = {"test": 2, "short": 10, "full": 60}
"""How many people there are of each kind."""

_SENT, _REFUSED, _TAKEN_SAID_NOTHING = ("sent", 1), ("failed", 0), ("unknown", 1)

EXPECTED: Mapping[str, tuple[str, int]] = {
    "plain": _SENT,
    "tarpit": _SENT,
    "slow-1": _SENT,
    "grey-451": _SENT,
    "mail-451": _SENT,  # it is the next one that is refused, once
    "hard-550-5.1.1": _REFUSED,
    "reject-data": _REFUSED,
    "dot-550-5.1.1": _REFUSED,
    "dot-451": _REFUSED,  # given up after the last attempt
    "data-451": _REFUSED,
    "drop-before-dot": _REFUSED,
    "wrong-250": _REFUSED,
    "closing-421": _REFUSED,
    "drop-after-dot": _TAKEN_SAID_NOTHING,
    "wrong-354": _TAKEN_SAID_NOTHING,
    "babble": _TAKEN_SAID_NOTHING,
}
"""By local part: the state in the end, and how often the message is at the sink."""

_LATE = 1  # a connection has one message whose answer is missing, and one connection is enough
_STALL = 10.0
_NO_ROW = "nothing stands in the ledger"
_NO_MAIL = "it did not arrive"


async def _run(trial: Trial) -> Verdict:
    if trial.mode == "embedded" and trial.saboteur == "deaf-when-late":
        raise NotHere("one process has nobody else who could end its lease")

    async def act(stage: Stage) -> None:
        await stage.client.call("POST", "/v1/baits", BAIT)
        await _faults(stage, _SIZES[trial.form])
        if trial.mode == "scaled":
            await _late_results(stage)
        elif trial.form != "test":
            await _stalled(stage)

    mail = Options(keep=True, misbehave=True, stall=60.0, drip=0.003)
    changes = ("quick-leases", "quick-retries")
    return await play("R12", trial, act, changes=changes, mail=mail)


async def _faults(stage: Stage, each: int) -> None:
    """Everybody well mixed: what one gets must not touch what another one gets.

    The tarpit comes by itself: there, a cut takes answers with it that had only been begun.
    """
    people = [(kind, number) for kind in EXPECTED for number in range(each)]
    people += [("plain", number) for number in range(each, each * 6)]
    random.Random(f"mail {stage.seed}").shuffle(people)
    kinds = {f"{kind}@{kind}-{number}.people.example": kind for kind, number in people}
    await _come(stage, [address for address, kind in kinds.items() if kind != "tarpit"])
    await _settled(stage)
    await _come(stage, [address for address, kind in kinds.items() if kind == "tarpit"])
    await _settled(stage)
    rows = {row.address: row for row in stage.stores.ledger() if row.address in kinds}
    arrived = Counter(taken.recipient.decode().lower() for taken in stage.sink.taken)
    stage.verdict.recipients = len(kinds)
    wrong: Counter[str] = Counter()
    for address, kind in kinds.items():
        wrong.update(_compare(kind, rows.get(address), arrived[address]))
    stage.verdict.lost = sum(n for what, n in wrong.items() if what.endswith((_NO_ROW, _NO_MAIL)))
    stage.verdict.faults += [f"{number} × {what}" for what, number in sorted(wrong.items())]
    _at_most_once(stage)
    bound = sum(EXPECTED[kind][0] == "unknown" for kind in kinds.values())
    stage.verdict.unknown = sum(row.state == "unknown" for row in rows.values())
    stage.verdict.unknown_bound = bound


async def _settled(stage: Stage) -> None:
    still = Still(15.0)
    while left := stage.stores.waiting():
        if still.after(left):
            stage.verdict.faults.append(f"it does not get quiet: there is still {left}")
            return
        await asyncio.sleep(0.1)


def _compare(kind: str, row: Row | None, arrived: int) -> Iterator[str]:
    """What is wrong with one message."""
    state, times = EXPECTED[kind]
    if row is None:
        yield f"{kind}: {_NO_ROW}"
    elif row.state != state:
        yield f"{kind}: it is {row.state} ({row.reason}) in place of {state}"
    if arrived < times:
        yield f"{kind}: {_NO_MAIL}"
    elif arrived > times == 0:
        yield f"{kind}: it arrived although it was refused"


def _at_most_once(stage: Stage) -> None:
    arrived = Counter(taken.recipient for taken in stage.sink.taken)
    doubled = sum(count - 1 for count in arrived.values())
    stage.verdict.messages_doubled = doubled
    if doubled:
        stage.verdict.faults.append(f"{doubled} messages came twice")


async def _stalled(stage: Stage) -> None:
    """An answer that takes 10 s: the message is neither sent again nor given up."""
    stage.sink.options.stall = _STALL
    addresses = {f"slow@late-{number}.people.example" for number in range(_LATE)}
    await _come(stage, addresses)
    await _until(stage, addresses, {"sent"}, _STALL + 20)
    _at_most_once(stage)


async def _late_results(stage: Stage) -> None:
    """The one that sends stands still past its lease; another takes its messages for unknown; then it wakes."""
    addresses = {f"slow@late-{number}.people.example" for number in range(_LATE)}
    before = stage.sink.count
    await _come(stage, addresses)
    await _wait(lambda: stage.sink.count >= before + _LATE, "late messages at the sink", 20)
    victim = stage.scaled
    sleeper = victim.processes["push"]
    sleeper.signal(signal.SIGSTOP)
    try:
        victim.processes["push-2"] = victim.start_process(
            "push", "push-2", free_port(), "--channels", "email"
        )
        await _until(stage, addresses, {"unknown"}, 40)
    finally:
        sleeper.signal(signal.SIGCONT)
    stage.sink.release.set()
    await _until(stage, addresses, {"sent"}, 20)
    _at_most_once(stage)


async def _come(stage: Stage, addresses: Collection[str]) -> None:
    async def submit(address: str) -> None:
        body = {"contact": {"email": address}, "language": "en"}
        answer = await stage.client.ask(
            "POST", f"/v1/baits/{SLUG}/leads", body=body, headers={"idempotency-key": address}
        )
        assert answer.status == 202, answer.text
        stage.book.note("lead", id=answer.json()["lead_id"], address=address)

    await asyncio.gather(*(submit(address) for address in addresses))


async def _until(
    stage: Stage, addresses: Collection[str], states: Collection[str], seconds: float
) -> None:
    """Wait until all of these stand in one of `states`; a fault when they do not."""

    def found() -> list[str]:
        return sorted(row.state for row in stage.stores.ledger() if row.address in addresses)

    def reached() -> bool:
        return len(found()) == len(addresses) and set(found()) <= set(states)

    try:
        await _wait(reached, "", seconds)
    except TooLate:
        said = f"late messages are {', '.join(found())} in place of {' or '.join(states)}"
        stage.verdict.faults.append(said)


async def _wait(reached: Callable[[], bool], what: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            raise TooLate(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(0.1)


CASE = Case(
    "R12",
    "a mail server that cuts, refuses, stalls and answers wrongly",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=("cut-is-refusal", "refusal-is-sent", "deaf-when-late"),
)
