"""The reference "rows": a sheet's rows by SQLModel `add_all` in thousands, no checks.

`python -m bench.reference.rows COUNT` prints the rows a second.
"""

import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import event
from sqlmodel import Field, Session, SQLModel, create_engine

from bench.made.sheets import Row, dirty_rows

_BATCH = 1000


class Person(SQLModel, table=True):
    """A row as it stands in the sheet."""

    __tablename__ = "people"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    email: str = Field(index=True)
    phone: str
    city: str
    company: str
    agreed: str
    agreed_on: str
    note: str


def run(file: Path, rows: list[Row]) -> float:
    """Rows a second into a new database with the product's durability."""
    engine = create_engine(f"sqlite:///{file}")
    event.listen(engine, "connect", _durable)
    SQLModel.metadata.create_all(engine)
    source = iter(rows)
    start = time.perf_counter()
    with Session(engine) as session:
        while batch := list(islice(source, _BATCH)):
            session.add_all([Person(**row) for row in batch])  # type: ignore[arg-type]  # its id has a default
            session.commit()
    seconds = time.perf_counter() - start
    engine.dispose()
    return len(rows) / seconds


def _durable(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def main() -> None:
    """The command."""
    rows = list(dirty_rows(int(sys.argv[1])))
    with tempfile.TemporaryDirectory(dir="build") as folder:
        sys.stdout.write(f"{run(Path(folder) / 'rows.sqlite', rows)}\n")


if __name__ == "__main__":
    main()
