"""Databases of a data directory on which nothing runs, filled quickly."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from services.shared.ids import derived_text


@contextmanager
def filling(file: Path, tables: Iterable[str], *others: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on a database that nobody has open; `others` are attached by their stems.

    Indexes of `tables` are dropped before and made again behind it. No statistics are gathered: the product
    gathers none. In SQL, `named(kind, id)` is the id that `derived` makes of them, `dashed(id)` an id as text.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.create_function("named", 2, _named, deterministic=True)
        connection.create_function("dashed", 1, _dashed, deterministic=True)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000"):
            connection.execute(f"PRAGMA {pragma}")
        for other in others:
            connection.execute("ATTACH ? AS ?", (str(other), other.stem))
        indexes = [
            index
            for table in tables
            for index in connection.execute(
                "SELECT name, sql FROM main.sqlite_master"
                " WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?",
                (table,),
            )
        ]
        for name, _ in indexes:
            connection.execute(f'DROP INDEX main."{name}"')
        connection.execute("BEGIN")
        yield connection
        connection.execute("COMMIT")
        for _, sql in indexes:
            connection.execute(sql)
        connection.execute("PRAGMA journal_mode=WAL")


def _named(kind: str, id_: str) -> str:
    return derived_text(kind, id_).replace("-", "")


def _dashed(id_: str | None) -> str | None:
    if id_ is None:
        return None
    return f"{id_[:8]}-{id_[8:12]}-{id_[12:16]}-{id_[16:20]}-{id_[20:]}"
