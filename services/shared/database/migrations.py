"""Schema versions: Alembic migrations per service, applied at start (SQLite) or as a step of their own.

Revisions are named by date and slug, so the newest is the last by name; whether anything is to be done
is told without importing Alembic, which keeps the start quick.
"""

from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, MetaData, inspect, text

from services.shared.errors import SetupError

_LOCK = 0x0BA17  # the advisory lock that keeps two migration steps apart


def revisions(package: ModuleType) -> list[str]:
    """The revision names of a service's `migrations` package, oldest first."""
    return sorted(path.stem for path in _folder(package).glob("versions/2*.py"))


def current(connection: Connection) -> str | None:
    """The revision that a database is at; None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def check(connection: Connection, package: ModuleType) -> bool:
    """Whether the database is up to date. Raises `SetupError` when a newer program has changed it."""
    known, at = revisions(package), current(connection)
    if at is not None and at not in known:
        raise SetupError(
            f"the database of {package.__name__.split('.')[1]} is from a newer version ({at}): "
            "install that version, or restore a backup from before the upgrade"
        )
    return at == known[-1]


def upgrade(connection: Connection, package: ModuleType, metadata: MetaData) -> None:
    """Bring the database to the newest revision. The caller commits."""
    # imported here: only a database that is behind pays for it
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(_folder(package)))
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))

    def steps(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs("head", revision)  # what alembic's own command calls

    context = MigrationContext.configure(
        connection, opts={"fn": steps, "target_metadata": metadata, "render_as_batch": True}
    )
    with Operations.context(context):
        context.run_migrations()


def _folder(package: ModuleType) -> Path:
    return Path(str(package.__file__)).parent
