"""What a case is: how it is run, in which modes, and which saboteurs have to turn it red."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Optional

from tests.chaos.verdict import Verdict

if TYPE_CHECKING:  # it needs `NotHere`
    from tests.chaos.backing import Backing

Mode = Literal["embedded", "scaled"]
Form = Literal["test", "short", "full"]
"""`test` fits into `make test` (20 s at most), `short` is `make chaos`, `full` is `make chaos FULL=1`."""


class NotHere(Exception):
    """This machine does not allow the case (a message says what is missing); it is reported, not red."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a case: an empty folder of its own, and what decides it."""

    folder: Path
    seed: int
    form: Form
    mode: Mode
    saboteur: str | None = None
    backing: Optional["Backing"] = None
    """Broker and database of the scaled mode; None: the process's own ones are started when needed."""


@dataclass(frozen=True, slots=True)
class Case:
    """`run` plays one trial and returns its verdict; it raises `NotHere`, and nothing for what it finds.

    `saboteurs` by name (`tests.chaos.sabotaged`, or the case's own): each of them has to turn it red.
    """

    id: str
    title: str
    run: Callable[[Trial], Awaitable[Verdict]]
    modes: tuple[Mode, ...] = ("embedded",)
    saboteurs: tuple[str, ...] = ()
