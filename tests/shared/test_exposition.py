"""The exposition says what the library would, whoever renders it."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from services.shared.exposition import CONTENT_TYPE, RenderedCounter, SeriesText, exposition

VALUES = [
    (("sent", 'a "word"'), 12),
    (("sent", "back\\slash\nand line"), 3_000_000_000),
    (("clicked", "目录, é"), 0),
    (("clicked", ""), 1.5),
]


class Told(Collector):
    def __init__(self, family: CounterMetricFamily) -> None:
        self.family = family

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield self.family


def lines(text: bytes) -> list[str]:
    return sorted(line for line in text.decode().splitlines() if "_created" not in line)


def test_the_text_of_a_series_is_the_librarys() -> None:
    series = SeriesText("x_funnel", ("stage", "bait"))
    for values in (
        VALUES,
        VALUES[1:],
        VALUES,
    ):  # heads that are known, that went and that came back
        registry = CollectorRegistry()
        Counter("x_other", "Another.", ["kind"], registry=registry).labels("a").inc(2)
        Histogram("x_seconds", "Times.", registry=registry).observe(0.2)
        registry.register(Told(series.family("What happened.", values)))
        assert lines(exposition(registry)) == lines(generate_latest(registry))
        told = {
            (sample.labels["stage"], sample.labels["bait"]): sample.value
            for family in text_string_to_metric_families(exposition(registry).decode())
            for sample in family.samples
            if sample.name == "x_funnel_total"
        }
        assert told == dict(values)


def test_it_is_declared_as_the_library_declares_it() -> None:
    assert CONTENT_TYPE == CONTENT_TYPE_LATEST
    assert RenderedCounter("x", "Nothing yet.").text == ""
