"""What is to be reached: the floor and the aim of each figure."""

from dataclasses import dataclass

_MORE = ("1/s",)
"""Units of which more is better; of all others less is."""


@dataclass(frozen=True)
class Limit:
    """A number in the figure's unit, or how many `times` the reference of the same run."""

    number: float
    times: bool = False

    def __str__(self) -> str:
        return f"{self.number:g}{' ×' if self.times else ''}"

    def reached(self, unit: str, value: float | None, times: float | None) -> bool | None:
        """Whether a value keeps to it; None when there is none."""
        found = times if self.times else value
        if found is None:
            return None
        return found >= self.number if unit in _MORE else found <= self.number


@dataclass(frozen=True)
class Goal:
    """Floor and aim of a figure; None: it is only reported."""

    floor: Limit | None = None
    aim: Limit | None = None


def _in_unit(floor: float, aim: float | None = None) -> Goal:
    return Goal(Limit(floor), None if aim is None else Limit(aim))


def _times(floor: float, aim: float) -> Goal:
    return Goal(Limit(floor, times=True), Limit(aim, times=True))


GOALS: dict[str, Goal] = {
    "P1": _times(0.8, 1.3),
    "P1.p99": _in_unit(60, 25),
    "P1s": Goal(None, Limit(0.5, times=True)),
    "P1k": _times(0.3, 0.7),
    "P2": _times(14, 22),
    "P2r": _times(4, 5),
    "P2d": _times(3, 5),
    "P2m": _in_unit(60, 30),
    "P3": _times(1.2, 2.2),
    "P4.count": _in_unit(2, 0.3),
    "P4.build": _in_unit(10),
    "P4.fresh": _in_unit(1),
    "P5": _times(1, 2),
    "P5.memory": _in_unit(300),
    "P6.start": _in_unit(2, 1),
    "P6.memory": _in_unit(150, 110),
    "P7.P1": _times(1.2, 1.05),
    "P7.P2": _times(1.2, 1.05),
    "P8.embedded": _in_unit(200, 60),
    "P8.scaled": _in_unit(500),
    "P9": _in_unit(2, 0.5),
    "P9.lag": _in_unit(10),
    "P10.metrics": _in_unit(20_000, 50_000),
    "P10.profile": _times(0.5, 0.8),
    "P11.metrics": _in_unit(50, 25),
    "P11.series": _in_unit(2000, 1000),
    "P11.page": _in_unit(300, 150),
    "P12": Goal(Limit(100), Limit(2, times=True)),
    "soak": Goal(Limit(1.05, times=True)),
}
