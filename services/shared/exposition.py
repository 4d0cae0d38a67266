"""What Prometheus is told, as text: its text format.

The library renders every label of every sample anew. A family with many series brings its text along.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class RenderedCounter(CounterMetricFamily):
    """A counter with its exposition: `text` says what its samples do."""

    text = ""


class _Rest(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


class SeriesText:
    """Renders the series of a counter; how a series begins is worked out once, as long as it is told."""

    def __init__(self, name: str, labels: tuple[str, ...]) -> None:
        self._name = name
        self._labels = labels
        self._heads: dict[tuple[str, ...], str] = {}

    def family(
        self, documentation: str, values: Iterable[tuple[tuple[str, ...], float]]
    ) -> RenderedCounter:
        """The family of these values, by their labels."""
        family = RenderedCounter(self._name, documentation, labels=self._labels)
        heads: dict[tuple[str, ...], str] = {}
        lines = [f"# HELP {self._name}_total {documentation}\n# TYPE {self._name}_total counter\n"]
        for labels, value in values:
            head = heads[labels] = self._heads.get(labels) or self._head(labels)
            number = floatToGoString(value)  # type: ignore[no-untyped-call]
            lines.append(f"{head}{number}\n")
            family.add_metric(labels, value)
        self._heads = heads
        family.text = "".join(lines)
        return family

    def _head(self, labels: tuple[str, ...]) -> str:
        named = sorted(zip(self._labels, labels, strict=True))
        told = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in named)
        return f"{self._name}_total{{{told}}} "


def exposition(registry: CollectorRegistry) -> bytes:
    """All series of a registry."""
    # imported here: the exposition is not needed on the way to ready
    from prometheus_client.exposition import generate_latest

    rendered: list[str] = []
    others: list[Metric] = []
    for family in registry.collect():
        if isinstance(family, RenderedCounter):
            rendered.append(family.text)
        else:
            others.append(family)
    return generate_latest(_Rest(others)) + "".join(rendered).encode()
