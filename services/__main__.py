"""The command line: `python -m services --help`."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    try:
        # imported here: under a Python without our packages one line must say so, instead of a traceback
        from services import command_line

        return command_line.main(arguments)
    except ModuleNotFoundError as error:
        if (error.name or "services").split(".")[0] == "services":
            raise
        sys.stderr.write(
            f"baitwell: {sys.executable} has no package {error.name}: "
            "type `make run`, or use .venv/bin/python, which `make` fills with what is needed\n"
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
