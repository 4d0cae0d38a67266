"""Nothing of the machine it was written on is in the repository: no paths, no package index, no unpinned lock."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from checks.licences import LOCKS
from checks.sources import committed

PUBLIC = re.compile(
    r"(^|\.)(pypi\.org|pythonhosted\.org|npmjs\.org|apache\.org|github\.com|localhost|127\.0\.0\.1)$"
)
HOST = re.compile(r"://(?:[^/@\s]*@)?([A-Za-z0-9.-]+)")
HOME = re.compile(r"/(?:home|Users)/[a-z][\w.-]*/")
# Settings under which package managers are told of an index.
INDEX_SETTING = re.compile(r"(INDEX|REGISTRY|MIRROR|PROXY)", re.IGNORECASE)
LARGEST = 2_000_000


def _configured() -> Iterable[str]:
    yield from (value for name, value in os.environ.items() if INDEX_SETTING.search(name))
    pip = [sys.executable, "-m", "pip", "config", "list"]
    yield subprocess.run(pip, capture_output=True, text=True, check=False).stdout
    for path in ("/etc/uv/uv.toml", "~/.config/uv/uv.toml", "~/.npmrc", "~/.m2/settings.xml"):
        file = Path(path).expanduser()
        if file.is_file():
            yield file.read_text(encoding="utf-8", errors="replace")


def machine_words(root: Path) -> frozenset[str]:
    """What would give this machine away: where things lie on it, its name, its package indexes."""
    hosts = {host for text in _configured() for host in HOST.findall(text)}
    words = {host for host in hosts if not PUBLIC.search(host) and "." in host}
    words.add(f"{root.resolve()}/")
    home = Path.home()
    if len(home.parts) > 2:
        words.add(f"{home}/")
    name = socket.gethostname()
    if len(name) > 8:
        words.add(name)
    return frozenset(words)


def _lock_complaints(root: Path, lock: str) -> list[str]:
    text = (root / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^[A-Za-z0-9][^\n]*(?:\n\s[^\n]*)*", text, re.MULTILINE)
    complaints = [
        f"{lock}: {pin.split()[0]} has no exact version with hashes"
        for pin in pins
        if "==" not in pin or "--hash=sha256:" not in pin
    ]
    if re.search(r"://|^\s*-(-index|-extra-index|-find-links|i |f )", text, re.MULTILINE):
        complaints.append(f"{lock}: names a place to download from")
    return complaints


def check(root: Path, words: frozenset[str] | None = None) -> list[str]:
    """Complaints about committed files that carry traces of a machine, and about loose locks."""
    telling = machine_words(root) if words is None else words
    complaints = [
        c for lock in LOCKS if (root / lock).exists() for c in _lock_complaints(root, lock)
    ]
    for path in committed(root):
        if path.stat().st_size > LARGEST:
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        name = path.relative_to(root).as_posix()
        complaints += [
            f"{name}: names {word!r}, a trace of this machine" for word in telling if word in text
        ]
        if home := HOME.search(text):
            complaints.append(f"{name}: names {home[0]!r}, somebody's home directory")
    return complaints
