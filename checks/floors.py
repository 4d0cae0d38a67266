"""No version with a known hole: floors under the locks, and under what pyproject.toml asks for."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from checks.licences import LOCKS, locked

# The first release without the hole that made us raise the floor.
FLOORS = {
    "starlette": "1.3.1",
    "python-multipart": "0.0.31",
    "jinja2": "3.1.6",
    "h11": "0.16",
    "aiosmtplib": "5.1.2",
    "aiosmtpd": "1.4.5",
}


def _too_low(requirement: Requirement, place: str) -> str | None:
    floor = FLOORS.get(canonicalize_name(requirement.name))
    if floor is None:
        return None
    bounds = [Version(s.version) for s in requirement.specifier if s.operator in (">=", "==", "~=")]
    if bounds and max(bounds) >= Version(floor):
        return None
    return f"{place}: {requirement} allows a version with a known hole, needed is {floor} or newer"


def _asked_for(root: Path) -> list[Requirement]:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project.get("dependency-groups", {}).values()
    texts = [
        *project["project"].get("dependencies", []),
        *(text for group in groups for text in group),
    ]
    return [Requirement(text) for text in texts]


def check(root: Path) -> list[str]:
    """Complaints about versions below a floor."""
    found = [_too_low(requirement, "pyproject.toml") for requirement in _asked_for(root)]
    for lock in LOCKS:
        found += [_too_low(requirement, lock) for requirement in locked(root / lock)]
    return list(filter(None, found))
