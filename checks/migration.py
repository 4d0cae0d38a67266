"""Write or check migrations: `python -m checks.migration STORE SLUG [--replace]`, `--drift`.

A new migration is what Alembic finds different between the models and a database made by the migrations.
"""

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate import api, compare_metadata, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, create_engine
from sqlmodel.sql.sqltypes import AutoString

from services.shared.clock import SystemClock
from services.shared.database import migrations
from services.shared.database.types import Moment

STORES = {
    "auth": "services.shared.auth",
    "capture": "services.capture",
    "profile": "services.profile",
    "push": "services.push",
    "metrics": "services.metrics",
}

_TEMPLATE = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

from services.shared.database.types import Document, Moment, Serial

revision = "{revision}"
down_revision = {down!r}


def upgrade() -> None:
{upgrade}
'''


def store(name: str) -> tuple[Any, MetaData]:
    """The migrations package and the metadata of a store."""
    package = importlib.import_module(f"{STORES[name]}.migrations")
    metadata: MetaData = importlib.import_module(f"{STORES[name]}.models").metadata
    return package, metadata


def context(connection: Connection, metadata: MetaData) -> MigrationContext:
    """What compares a database with the models."""
    return MigrationContext.configure(
        connection,
        opts={"target_metadata": metadata, "compare_type": True, "render_as_batch": True},
    )


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """How our column types are written in a migration."""
    if kind != "type":
        return False
    if isinstance(item, Moment):
        return "Moment()"
    if isinstance(item, sa.JSON):
        return "Document()"
    if isinstance(item, sa.BigInteger) and "sqlite" in item._variant_mapping:
        return "Serial()"
    if isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


def drift(connection: Connection, name: str) -> list[Any]:
    """What differs between the models of a store and a database made by its migrations."""
    package, metadata = store(name)
    if migrations.revisions(package):
        migrations.upgrade(connection, package, metadata)
    found: list[Any] = compare_metadata(context(connection, metadata), metadata)
    return found


def make(name: str, slug: str, *, replace: bool) -> Path | None:
    """Write the next migration of a store; None when there is nothing to do."""
    package, metadata = store(name)
    folder = Path(str(package.__file__)).parent / "versions"
    if replace:
        for path in folder.glob(f"2*_{slug}.py"):
            path.unlink()
    known = migrations.revisions(package)
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        if known:
            migrations.upgrade(connection, package, metadata)
        produced = api.produce_migrations(context(connection, metadata), metadata)
        operations = produced.upgrade_ops
        if operations is None or operations.is_empty():
            return None
        body = render_python_code(operations, render_item=_render)
    number = len([r for r in known if r.startswith(today())]) + 1
    revision = f"{today()}_{number:02}_{slug}"
    text = _TEMPLATE.format(
        title=slug.replace("_", " ").capitalize(),
        revision=revision,
        down=known[-1] if known else None,
        upgrade=_indented(body),
    )
    path = folder / f"{revision}.py"
    path.write_text(text)
    return path


def _indented(body: str) -> str:
    lines = [line for line in body.splitlines() if "###" not in line]
    return "\n".join(
        line if line.startswith("    ") or not line else f"    {line}" for line in lines
    )


def today() -> str:
    """The date part of a revision's name."""
    return SystemClock().now().strftime("%Y%m%d")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", nargs="?", choices=sorted(STORES))
    parser.add_argument("slug", nargs="?")
    parser.add_argument("--replace", action="store_true", help="rewrite the migration of that slug")
    parser.add_argument("--drift", action="store_true", help="fail when a model differs")
    parsed = parser.parse_args()
    if parsed.drift:
        wrong = 0
        for name in STORES:
            with create_engine("sqlite://").connect() as connection:
                for item in drift(connection, name):
                    sys.stderr.write(f"{name}: the models differ from the migrations: {item}\n")
                    wrong = 1
        return wrong
    path = make(parsed.store, parsed.slug, replace=parsed.replace)
    sys.stdout.write(f"{path or 'nothing to do'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
