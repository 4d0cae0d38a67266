"""The command that lets consumers handle again what the log still has."""

from collections.abc import Sequence
from functools import partial

from services.shared.events import TOPICS
from services.shared.process.commands import say
from services.shared.process.directory import DataDirectory
from services.shared.process.kinds import ServiceKind
from services.shared.process.stores import open_stores, replayer
from services.shared.runner import positions
from services.shared.settings import Settings


async def positions_reset(
    kinds: Sequence[ServiceKind], settings: Settings, only: str | None
) -> int:
    """Set the consumers of all services, or of one, back to the oldest records. They must not run.

    Effects are unique by what caused them, so that nothing happens twice; what is missing happens.
    """
    directory = DataDirectory(settings.data)
    if not settings.scaled:
        directory.open()
    async with open_stores(kinds, settings) as stores:
        await stores.bus.start(tuple(TOPICS))
        for kind in kinds:
            runner = replayer(kind, stores, settings) if only in (None, kind.name) else None
            if runner is None:
                continue
            name, topics = runner.spec.name, runner.spec.topics
            database = stores.databases[kind.name]
            await database.transaction(partial(positions.forget, consumer=name, topics=topics))
            lag = await positions.lag(database, stores.bus, name, topics)
            say(f"{kind.name}: {sum(lag.values())} records to be handled again")
    directory.close()
    return 0
