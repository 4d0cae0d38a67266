"""What R8 stands on: a record is read as it was written, and images hold what was synced and any of the rest."""

import random
from pathlib import Path

from tests.chaos.disk import SECTOR, Call, Disk, read

RECORD = """\
7 1.000001 openat(AT_FDCWD</x>, "/data/a", O_RDWR|O_CREAT, 0644) = 3</data/a>
7 1.000002 pwrite64(3</data/a>, "\\0a\\"\\n", 4, 0) = 4
7 1.000003 fdatasync(3</data/a> <unfinished ...>
8 1.000004 pwrite64(4</elsewhere/b>, "x", 1, 0) = 1
7 1.000005 <... fdatasync resumed>) = 0
7 1.000006 fdatasync(3</data/a>) = -1 EIO (Input/output error) (INJECTED)
7 1.000007 ftruncate(3</data/a>, 2) = 0
"""


def test_a_record_is_read(tmp_path: Path) -> None:
    record = tmp_path / "record"
    record.write_text(RECORD)
    calls = list(read(record, Path("/data")))
    assert [(call.at, call.kind, call.path) for call in calls] == [
        (1.000002, "write", "/data/a"),
        (1.000005, "sync", "/data/a"),
        (1.000007, "truncate", "/data/a"),
    ]


def test_what_was_synced_is_there_and_the_rest_may_be_torn(tmp_path: Path) -> None:
    disk, folder, root = Disk(), Path("/data"), tmp_path / "image"
    disk.take(Call(1, "write", "/data/a", "s" * SECTOR * 2, 0))
    disk.take(Call(2, "sync", "/data/a"))
    disk.take(Call(3, "write", "/data/a", "w" * SECTOR * 2, SECTOR))
    seen = set()
    for seed in range(60):
        disk.image(folder, root, random.Random(seed))
        found = (root / "a").read_bytes()
        assert found[:SECTOR] == b"s" * SECTOR
        seen.add(tuple(found[begin : begin + 1] for begin in (SECTOR, 2 * SECTOR)))
    # the second may be there without the first: disks don't write in order
    assert {(b"s", b""), (b"w", b""), (b"s", b"w"), (b"w", b"w")} <= seen
