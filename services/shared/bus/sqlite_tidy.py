"""Keeping the embedded log small: retention by age, and compaction, as the table of topics says.

Both go in steps between which others run; a crash between two steps leaves nothing that the next run
does not find again.
"""

from datetime import timedelta

from services.shared.bus.sqlite_log import Line, LogFile
from services.shared.clock import Clock, to_micros
from services.shared.events import TOPICS

TOMBSTONES_KEPT = timedelta(days=30)
DIRTY_AT_MOST = timedelta(days=1)

_STEP = 500
_SCAN = 2_000
_KEYS = 50_000


async def tidy(file: LogFile, clock: Clock) -> None:
    """One round over all topics. Raises `BusUnavailable`."""
    for name, topic in TOPICS.items():
        if not file.has(name):
            continue
        if topic.retention is not None:
            await _expire(file, clock, name, to_micros(clock.now() - topic.retention))
        if topic.compacted:
            while _is_due(file, clock, name):
                await _compact(file, clock, name)


async def _expire(file: LogFile, clock: Clock, topic: str, before: int) -> None:
    while True:
        oldest = file.lines(topic, 0, _STEP)
        old = []
        for line in oldest:
            if line.at >= before:
                break
            old.append(line.offset)
        if old:
            file.delete(topic, old)
        if len(old) < _STEP:
            return
        await clock.sleep(0)


def _is_due(file: LogFile, clock: Clock, topic: str) -> bool:
    """Whether half of the topic is new, or the oldest new record older than a day."""
    table = file.table(topic)
    if table.next - table.clean > max(table.kept, _STEP):
        return True
    oldest = file.lines(topic, table.clean, 1)
    return bool(oldest) and oldest[0].at < to_micros(clock.now() - DIRTY_AT_MOST)


async def _compact(file: LogFile, clock: Clock, topic: str) -> None:
    """Delete what a newer record of its key replaces, looking at the next `_KEYS` new records."""
    clean = file.table(topic).clean
    newest: dict[str, int] = {}
    while len(newest) < _KEYS and clean < file.table(topic).next:
        lines = file.lines(topic, clean, _SCAN)
        newest.update((line.key, line.offset) for line in lines)
        clean = lines[-1].offset + 1 if lines else file.table(topic).next
        await clock.sleep(0)
    forgotten = to_micros(clock.now() - TOMBSTONES_KEPT)
    place, kept = 0, 0
    while place < clean and (lines := file.lines(topic, place, _SCAN)):
        lines = [line for line in lines if line.offset < clean]
        dead = [line.offset for line in lines if _is_dead(line, newest, forgotten)]
        for index in range(0, len(dead), _STEP):
            file.delete(topic, dead[index : index + _STEP])
            await clock.sleep(0)
        kept += len(lines) - len(dead)
        place = lines[-1].offset + 1 if lines else clean
        await clock.sleep(0)
    file.set_clean(topic, clean, kept)


def _is_dead(line: Line, newest: dict[str, int], forgotten: int) -> bool:
    if newest.get(line.key, line.offset) > line.offset:
        return True
    return line.tombstone and line.at < forgotten
