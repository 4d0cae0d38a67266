"""The funnel as a picture: one band a stage, as wide as its number, narrowing to the next."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.metrics.funnel.schemas import Funnel

WIDTH, ROW = 360, 46
_LEFT, _RIGHT = 88, 292
_LEAST = 3.0


@dataclass(frozen=True)
class Band:
    """One stage as drawn. `points` is an SVG polygon."""

    stage: str
    value: int
    rate: float | None
    points: str
    middle: float
    strength: float


@dataclass(frozen=True)
class Picture:
    """A funnel as drawn."""

    bands: Sequence[Band]
    height: int


def picture_of(funnel: Funnel, stages: Sequence[str]) -> Picture:
    """Draw the distinct subjects of each stage."""
    values = [funnel.stages[stage].distinct for stage in stages]
    most = max([*values, 1])
    widths = [max(_LEAST, (_RIGHT - _LEFT) * value / most) if value else 0.0 for value in values]
    bands = []
    for index, stage in enumerate(stages):
        following = widths[index + 1] if index + 1 < len(widths) else widths[index] * 0.8
        bands.append(
            Band(
                stage,
                values[index],
                funnel.stages[stage].rate if index else None,
                _polygon(widths[index], min(following, widths[index]), index * ROW),
                index * ROW + ROW / 2,
                1.0 - 0.11 * index,
            )
        )
    return Picture(bands, len(stages) * ROW)


def _polygon(top: float, bottom: float, y: float) -> str:
    centre = (_LEFT + _RIGHT) / 2
    low = y + ROW - 4
    corners = (
        (centre - top / 2, y),
        (centre + top / 2, y),
        (centre + bottom / 2, low),
        (centre - bottom / 2, low),
    )
    return " ".join(f"{x:.1f},{height:.1f}" for x, height in corners)
