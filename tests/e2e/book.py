"""The list that the test keeps of what happened, and what the funnel has to say of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple


class Place(NamedTuple):
    """Where a number stands in the funnel: ids, "" where there is none."""

    stage: str
    channel: str = ""
    bait: str = ""
    campaign: str = ""


@dataclass
class Book:
    """Every event that a person or a machine caused, counted by its place."""

    counts: Counter[Place] = field(default_factory=Counter)
    money: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(
        self, stage: str, channel: str = "", *, bait: str = "", campaign: str = "", times: int = 1
    ) -> None:
        """Something happened."""
        self.counts[Place(stage, channel, bait, campaign)] += times

    def total(self, stage: str, **where: str) -> int:
        """How often a stage was reached, over all places that fit."""
        return sum(
            count
            for place, count in self.counts.items()
            if place.stage == stage
            and all(getattr(place, name) == value for name, value in where.items())
        )
