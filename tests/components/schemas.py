"""Every set of migrations in the project, found by its folder, and databases brought up with them."""

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from sqlalchemy import Connection, MetaData, text

import services
from services.shared.clock import SystemClock
from services.shared.database import migrations
from services.shared.database.postgres import PostgresDatabase

ROOT = Path(services.__file__).resolve().parent


@dataclass(frozen=True)
class Schema:
    """One service's own tables: their migrations and what the models say they should be."""

    name: str
    package: ModuleType
    metadata: MetaData

    def upgrade(self, connection: Connection) -> None:
        migrations.upgrade(connection, self.package, self.metadata)

    async def upgrade_postgres(self, url: str) -> None:
        """Bring this schema of the database at `url` to the newest revision."""
        database = PostgresDatabase(url, self.name, SystemClock())
        try:
            async with database.engine.begin() as connection:
                await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{self.name}"'))
                await connection.run_sync(self.upgrade)
        finally:
            await database.close()


def _metadata_of(package: str) -> MetaData:
    """The one `MetaData` of a service, after all its models are known to it."""
    owner = importlib.import_module(package)
    found: dict[int, MetaData] = {}
    for module in pkgutil.walk_packages(owner.__path__, f"{package}."):
        if module.name.rpartition(".")[2] in ("models", "tables"):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, MetaData):
                    found[id(value)] = value
    if len(found) != 1:
        raise LookupError(
            f"{package}: {len(found)} MetaData objects in its models, one is expected"
        )
    return found.popitem()[1]


def discover() -> list[Schema]:
    """All schemas, by name."""
    schemas = []
    for folder in sorted(ROOT.rglob("migrations")):
        if any(folder.glob("versions/2*.py")):
            owner = ".".join(("services", *folder.parent.relative_to(ROOT).parts))
            package = importlib.import_module(f"{owner}.migrations")
            schemas.append(Schema(owner.rpartition(".")[2], package, _metadata_of(owner)))
    return schemas
