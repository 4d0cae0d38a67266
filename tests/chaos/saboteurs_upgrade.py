"""Saboteurs of an upgrade (R16): migrations that lose what was under way."""

import sys
from collections.abc import Callable, Collection
from types import ModuleType

from sqlalchemy import Connection, MetaData, text

from services.shared.database import migrations
from tests.chaos.pieces import replace


def outbox_dropped() -> None:
    """The outbox is made anew, without what it held."""
    _also(("capture", "profile", "push", "metrics"), "DELETE FROM outbox")


def wire_planned() -> None:
    """Every message that is not settled is planned again, also what was on the wire."""
    _also(
        ("push",),
        "UPDATE deliveries SET state = 'planned', reason = NULL, code = NULL, claim_token = NULL,"
        " lease_until = NULL, sending_at = NULL WHERE state = 'sending'",
    )


def _also(services: Collection[str], statement: str) -> None:
    """Let the first migration of each of these do one thing more."""
    check, upgrade = migrations.check, migrations.upgrade
    done: set[str] = set()

    def never_current(connection: Connection, package: ModuleType) -> bool:
        serving = connection.dialect.name == "postgresql" and "migrate" not in sys.argv
        return check(connection, package) and (serving or package.__name__ in done)

    def hasty(connection: Connection, package: ModuleType, metadata: MetaData) -> None:
        upgrade(connection, package, metadata)
        done.add(package.__name__)
        if package.__name__.split(".")[1] in services:
            connection.execute(text(statement))

    replace(migrations, "check", never_current)
    replace(migrations, "upgrade", hasty)


UPGRADES: dict[str, Callable[[], None]] = {
    "outbox-dropped": outbox_dropped,
    "wire-planned": wire_planned,
}
