"""R16: what the last release left in the middle of everything is opened by this program, while people come."""

import asyncio
import contextlib
import random
import sqlite3
from dataclasses import dataclass

import asyncpg

from tests.chaos.case import Case, Form, Trial
from tests.chaos.crash import WINDOW, until_done
from tests.chaos.crowd import AT_ONCE
from tests.chaos.judging import judge
from tests.chaos.pieces import SWITCHES
from tests.chaos.saboteurs_upgrade import UPGRADES
from tests.chaos.stage import Stage, play, quiet, reading
from tests.chaos.upgrade.laying import LAST, State, lay_database, lay_directory, load
from tests.chaos.verdict import Verdict
from tests.chaos.victim import Target, Victim
from tests.chaos.wrong_clock import OFFSET
from tests.components.waiting import TooLate

_LANES = 4
_FUTURE = "20991231_01_future"
_REFUSES_WITHIN = 15.0
_NEWER = f"is from a newer version ({_FUTURE})"
_CRASH_WITHIN = {"embedded": (0.3, 1.5), "scaled": (0.5, 2.5)}
"""Seconds: when the first starts of the new program are killed; some before, some while, some after it migrates."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many come meanwhile, and how often the upgrade is killed before it is let."""

    people: int
    crashes: int


_SIZES: dict[Form, Size] = {"test": Size(24, 1), "short": Size(120, 3), "full": Size(1500, 12)}


async def _run(trial: Trial) -> Verdict:
    size, state = _SIZES[trial.form], load(trial.mode)
    switches = trial.folder / "switches"
    switches.mkdir()
    (switches / OFFSET).write_text(str(state.clock_offset))
    (trial.folder / "acknowledged.jsonl").write_text(state.facts["book"])

    async def lay(victim: Target) -> None:
        victim.admin_key = state.facts["admin_key"]
        if isinstance(victim, Victim):
            lay_directory(victim)
        else:
            await lay_database(victim, state)  # type: ignore[arg-type]

    async def act(stage: Stage) -> None:
        _remember(stage, state)
        coming = asyncio.create_task(_come(stage, size.people))
        chance = random.Random(f"upgrade {trial.seed}")
        for _ in range(size.crashes):
            await _crash(stage, chance.uniform(*_CRASH_WITHIN[trial.mode]))
        stage.verdict.begun = False
        await _open(stage)
        stage.verdict.begun = True
        async with reading(stage):
            await until_done(stage)
            await coming
            await _replay(stage)
            await quiet(stage)
        await judge(stage)
        await _refuses_what_is_newer(stage)

    verdict = await play(
        "R16",
        trial,
        act,
        settings={SWITCHES: str(switches)},
        changes=("other-time", "quick-leases"),
        lanes=_LANES,
        delay=0.01,
        begin=lay,
    )
    verdict.unknown_bound = state.facts["unknown_bound"] + 2 * _LANES * WINDOW * verdict.kills
    return verdict


def _remember(stage: Stage, state: State) -> None:
    """What people and sink know from before."""
    facts = state.facts
    stage.sink.taken += state.mails[: facts["read"]]
    stage.postbox.fetch()  # these were acted on
    stage.sink.taken += state.mails[facts["read"] :]
    stage.crowd.remember(facts["seed"], facts["people"], facts["verified"], facts["left"])
    stage.recipients = set(facts["recipients"])
    stage.verdict.recipients = len(stage.recipients)
    stage.campaign_id = facts["campaign_id"]


async def _come(stage: Stage, people: int) -> None:
    for begin in range(0, people, AT_ONCE):
        await stage.crowd.come(min(AT_ONCE, people - begin))


async def _crash(stage: Stage, after: float) -> None:
    """The upgrade is begun, and killed."""
    stage.victim.kills += 1
    if stage.victim.mode == "scaled":
        await stage.victim.command("migrate", seconds=after)
        return
    starting = asyncio.create_task(stage.victim.begin())
    await asyncio.sleep(after)
    stage.victim.kill()
    with contextlib.suppress(TooLate):
        await starting


async def _open(stage: Stage) -> None:
    """The upgrade as an operator does it."""
    if stage.victim.mode == "scaled":
        code, said = await stage.victim.command("migrate")
        if code != 0:
            raise TooLate(f"migrate ended with {code}: {said[-500:]}")
    await stage.victim.begin()


async def _replay(stage: Stage) -> None:
    """What the last release choked on is handled by this one."""
    embedded = stage.victim.mode == "embedded"
    if embedded:
        await stage.victim.end()
    code, said = await stage.victim.command("parked", "replay")
    if code != 0 or "profile: 1 handled" not in said:
        stage.verdict.faults.append(f"the replay ended with {code} and said: {said[-500:]}")
    if embedded:
        await stage.victim.begin()


async def _refuses_what_is_newer(stage: Stage) -> None:
    """A database of a later version: it says so, and leaves it alone."""
    words: tuple[str, ...] = ("run",)
    if stage.victim.mode == "scaled":
        words = ("run", "push")
        await _revise(stage, _FUTURE)
    else:
        path = stage.embedded.data / "push.sqlite"
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE alembic_version SET version_num = ?", (_FUTURE,))
    code, said = await stage.victim.command(*words, seconds=_REFUSES_WITHIN)
    if code <= 0 or _NEWER not in said:
        stage.verdict.faults.append(f"a newer database: it ended with {code}: {said[-300:]}")
    if stage.stores.rows("push", "SELECT version_num FROM alembic_version") != [(_FUTURE,)]:
        stage.verdict.faults.append("a newer database was changed")


async def _revise(stage: Stage, revision: str) -> None:
    connection = await asyncpg.connect(stage.victim.settings["BAITWELL_DATABASE_URL"])
    try:
        await connection.execute("UPDATE push.alembic_version SET version_num = $1", revision)
    finally:
        await connection.close()


CASE = Case(
    "R16",
    f"an upgrade from the last release ({LAST}), killed and begun again, while people come",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=tuple(UPGRADES),
)
