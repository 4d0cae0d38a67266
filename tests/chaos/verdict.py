"""What a case says in the end: printed as lines, written to build/chaos.json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Verdict:
    """The numbers of one run, and whatever else was wrong, in words."""

    id: str
    mode: str
    seed: int
    accepted: int = 0
    lost: int = 0
    profiles_doubled: int = 0
    messages_doubled: int = 0
    unknown: int = 0
    unknown_bound: int = 0
    counters_off: int = 0
    seconds: int = 0
    kills: int = 0
    recipients: int = 0
    handled: int = 0
    """How many records were handled again, where a case is about that."""
    figures: dict[str, int] = field(default_factory=dict)
    """What else a case measured, by names that say the unit."""
    form: str = "short"
    saboteur: str | None = None
    begun: bool = True
    """False: the system never started, so that nothing was shown, of a saboteur least of all."""

    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every promise held."""
        wrong = self.lost + self.profiles_doubled + self.messages_doubled + self.counters_off
        return not (wrong or self.faults) and self.unknown <= self.unknown_bound

    def as_json(self) -> dict[str, Any]:
        """The case in the shape of the report; what most cases lack only where there is any."""
        given = asdict(self)
        rare = ("kills", "recipients", "handled", "figures", "saboteur", "faults")
        extra = ["begun", *(name for name in rare if not given[name])]
        return {name: value for name, value in given.items() if name not in extra} | {"ok": self.ok}

    def line(self) -> str:
        """The case in a line."""
        numbers = (
            f"accepted {self.accepted}  lost {self.lost}  profiles doubled {self.profiles_doubled}"
            f"  messages doubled {self.messages_doubled}"
            f"  unknown {self.unknown} (bound {self.unknown_bound})"
            f"  counters off {self.counters_off}  kills {self.kills}"
            f"  recipients {self.recipients}"
            + (f"  handled again {self.handled}" if self.handled else "")
            + "".join(f"  {name} {value}" for name, value in self.figures.items())
            + f"  {self.seconds} s"
        )
        name = self.id if self.saboteur is None else f"{self.id} with {self.saboteur}"
        lines = [f"{'ok ' if self.ok else 'RED'} {name} {self.mode} seed {self.seed}: {numbers}"]
        return "\n".join([*lines, *(f"      {fault}" for fault in self.faults)])


def write(
    path: Path, verdicts: Sequence[Verdict], earlier: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write all cases of a run, behind those of earlier ones that it has not played again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = [verdict.as_json() for verdict in verdicts]
    again = {played(case) for case in new}
    cases = [case for case in earlier if played(case) not in again] + new
    # never half of a report, whenever it is broken off
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"cases": cases}, indent=2) + "\n")
    draft.replace(path)


def read(path: Path) -> list[dict[str, Any]]:
    """The cases of an earlier report; none when there is no report."""
    found: list[dict[str, Any]] = json.loads(path.read_text())["cases"] if path.exists() else []
    return found


def played(case: Mapping[str, Any]) -> tuple[str, str, int, str, str | None]:
    """What tells a case of a report from others."""
    return case["id"], case["mode"], case["seed"], case["form"], case.get("saboteur")
