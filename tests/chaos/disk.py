"""What a disk may hold after a power loss, from the recorded writes and syncs of a program (R8).

The record is that of `strace`. A file's contents are what was synced, and of all that was written after
that any sectors of 512 bytes; what was truncated may be so or not. Making, removing and renaming a file
counts as done at once, as journalling file systems keep the order of these.
"""

import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512

STRACE = (
    *("strace", "-f", "--seccomp-bpf", "-ttt", "-y", "-s", "1000000", "-e", "signal=none"),
    *("-e", "trace=write,pwrite64,fsync,fdatasync,openat,ftruncate,unlink,rename", "-o"),
)
"""The command to be put before the program's, with the record's path behind it."""

_LINE = re.compile(r"(\d+)\s+(\d+\.\d+) (.*)")
_STRING = r'"((?:[^"\\]|\\.)*)"'
_CALLS = {
    "pwrite64": re.compile(rf"pwrite64\(\d+<([^>]+)>, {_STRING}, \d+, (\d+)"),
    "write": re.compile(rf"write\(\d+<([^>]+)>, {_STRING}, \d+"),
    "fdatasync": re.compile(r"f(?:data)?sync\(\d+<([^>]+)>"),
    "ftruncate": re.compile(r"ftruncate\(\d+<([^>]+)>, (\d+)"),
    "openat": re.compile(rf"openat\([^,]+, {_STRING}, (\S+)"),
    "unlink": re.compile(rf"unlink\({_STRING}"),
    "rename": re.compile(rf"rename\({_STRING}, {_STRING}"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A system call on a file of the data directory, when it returned."""

    at: float
    kind: str
    path: str
    text: str = ""
    number: int = 0


def read(record: Path, folder: Path) -> Iterator[Call]:
    """The calls on files in `folder`, in the order in which they took effect."""
    begun: dict[str, str] = {}
    with record.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            thread, at, said = found.groups()
            if said.rstrip().endswith("<unfinished ...>"):
                begun[thread] = said
                continue
            if said.startswith("<... "):
                said = begun.pop(thread, "") + said
            if " = -1 " in said[-60:]:
                continue
            call = _call(float(at), said, str(folder))
            if call is not None:
                yield call


def _call(at: float, said: str, folder: str) -> Call | None:
    name = said.partition("(")[0]
    pattern = _CALLS.get("fdatasync" if name == "fsync" else name)
    found = pattern.match(said) if pattern is not None else None
    if found is None or folder not in said[:400]:
        return None
    path = found[1]
    if not path.startswith(f"{folder}/") or path.endswith(("-shm", "/lock")):
        return None
    if name in {"pwrite64", "write"}:
        offset = int(found[3]) if name == "pwrite64" else -1
        return Call(at, "write", path, found[2], offset)
    if name == "ftruncate":
        return Call(at, "truncate", path, number=int(found[2]))
    if name == "openat":
        return Call(at, "empty", path) if "O_TRUNC" in found[2] else None
    if name == "rename":
        return Call(at, "rename", path, found[2])
    return Call(at, "sync" if "sync" in name else name, path)


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    whole: bytearray = field(default_factory=bytearray)
    """As the program sees it."""
    pending: list[tuple[int, bytes]] = field(default_factory=list)
    """What was written since the last sync; (size, b"") for a truncation."""


class Disk:
    """The files as they may be found, after some of the calls."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}

    def take(self, call: Call) -> None:
        """One more call has returned."""
        if call.kind == "unlink":
            self._files.pop(call.path, None)
            return
        if call.kind == "rename":
            self._files[call.text] = self._files.pop(call.path)
            return
        file = self._files.setdefault(call.path, _File())
        if call.kind == "sync":
            file.durable, file.pending = bytearray(file.whole), []
        elif call.kind == "write":
            data = call.text.encode().decode("unicode_escape").encode("latin-1")
            offset = call.number if call.number >= 0 else len(file.whole)
            file.pending.append((offset, data))
            _write(file.whole, offset, data)
        else:
            file.pending.append((call.number, b""))
            _truncate(file.whole, call.number)

    def differs(self) -> list[str]:
        """The files that are not, in fact, what the calls make of them: then the record is not whole."""
        return [
            Path(path).name
            for path, file in self._files.items()
            if not Path(path).exists() or Path(path).read_bytes() != file.whole
        ]

    def image(self, folder: Path, root: Path, chance: random.Random) -> None:
        """Write one of the many states into `root`, as files by their place in `folder`."""
        shutil.rmtree(root, ignore_errors=True)
        kept = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for path, file in self._files.items():
            found = bytearray(file.durable)
            for offset, data in file.pending:
                if not data:
                    if chance.random() < kept:
                        _truncate(found, offset)
                    continue
                for begin, piece in _sectors(offset, data):
                    if chance.random() < kept:
                        _write(found, begin, piece)
            target = root / Path(path).relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(found)


def _sectors(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """A write in the pieces that a disk writes at once."""
    begin = 0
    while begin < len(data):
        end = min(len(data), begin + SECTOR - (offset + begin) % SECTOR)
        yield offset + begin, data[begin:end]
        begin = end


def _write(into: bytearray, offset: int, data: bytes) -> None:
    if len(into) < offset:
        into.extend(bytes(offset - len(into)))
    into[offset : offset + len(data)] = data


def _truncate(what: bytearray, size: int) -> None:
    if len(what) > size:
        del what[size:]
    else:
        what.extend(bytes(size - len(what)))
