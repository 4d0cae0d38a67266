"""The list that the test keeps of what happened, and what the funnel has to say of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple


class Place(NamedTuple):
    """Where a number stands: the stage, and the labels of bait and campaign ("" where there is none)."""

    stage: str
    bait: str = ""
    campaign: str = ""


@dataclass
class Book:
    """Every event that a person or a machine caused, counted by its place.

    Stages are named as the Prometheus series names them: what a machine did has stages of its own,
    a refund is a stage, nothing is ever taken away.
    """

    counts: Counter[Place] = field(default_factory=Counter)

    def note(self, stage: str, *, bait: str = "", campaign: str = "", times: int = 1) -> None:
        """Something happened."""
        self.counts[Place(stage, bait, campaign)] += times

    def of(self, stage: str, *, bait: str = "", campaign: str = "") -> int:
        """How often it happened there."""
        return self.counts[Place(stage, bait, campaign)]
