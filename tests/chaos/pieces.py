"""Putting another piece in the place of one of the program's own."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

SWITCHES = "CHAOS_SWITCHES"
"""The variable that names the folder of switches: what a file stands for is on while the file is there."""

_LOOK = 0.01


def replace(owner: Any, name: str, piece: Callable[..., Any]) -> None:
    """Put `piece` in the place of a function or method that must be there."""
    assert callable(getattr(owner, name)), f"{owner} has no {name} any more"
    setattr(owner, name, piece)


def switch(name: str) -> Path:
    """The file of a switch, as the program sees it."""
    return Path(os.environ[SWITCHES]) / name


async def while_off(name: str) -> None:
    """Wait as long as a switch is on."""
    path = switch(name)
    while path.exists():  # noqa: ASYNC110  # another process's file has no event
        await asyncio.sleep(_LOOK)
