"""Which files of a checkout the checks look at."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

# Where nothing is committed: not asked of git when there is no repository, as in an unpacked archive.
MADE = frozenset({".venv", ".git", "build", "data", "node_modules", "__pycache__"})
TREES = ("services", "deploy", "checks", "bench", "tests")


def committed(root: Path) -> list[Path]:
    """What is, or with the next commit would be, in the repository; all files where there is none."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        every = (path for path in root.rglob("*") if path.is_file())
        return sorted(path for path in every if not MADE.intersection(path.relative_to(root).parts))
    return sorted(
        path for name in listed.stdout.split("\0") if name and (path := root / name).is_file()
    )


def python_files(root: Path) -> Iterator[Path]:
    """The Python files of our trees; migrations count as what they are, a list of statements."""
    for path in committed(root):
        tree = path.relative_to(root).parts[0]
        if path.suffix == ".py" and tree in TREES:
            yield path


def is_migration(path: Path) -> bool:
    return "versions" in path.parts


def is_test(path: Path, root: Path) -> bool:
    return path.relative_to(root).parts[0] == "tests"
