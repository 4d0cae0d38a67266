"""The funnel, the Prometheus series and the dashboards agree with the book, to the last one."""

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.components.prometheus import Prometheus
from tests.components.waiting import PATIENCE
from tests.e2e.api import JSON, until
from tests.e2e.book import Book, Place
from tests.e2e.chapters.collecting import COUPON, REPORT
from tests.e2e.chapters.pushing import FIRST, SECOND
from tests.e2e.dashboards import expressions
from tests.e2e.scene import Scene

ROOT = Path(__file__).resolve().parents[3]
BAIT_STAGES = ("displayed", "submitted", "verified", "opened", "inquired", "converted")
CAMPAIGN_STAGES = ("sent", "displayed", "clicked", "inquired", "converted", "unsubscribed")


async def funnel_agrees(scene: Scene) -> None:
    """`GET /v1/funnel` by bait and by campaign, stage by stage."""
    await until(
        lambda: series(scene), lambda now: now == scene.book.counts, _wanted(scene.book), 30
    )
    baits = {item["label"]: item for item in (await scene.api.get("/v1/funnel"))["items"]}
    for slug in (REPORT, COUPON):
        stages = baits[slug]["bait"]["stages"]
        assert _totals(stages) == _expected(scene.book, BAIT_STAGES, bait=slug), slug
    mail = baits[REPORT]["bait"]["mail"]
    assert mail["sent"]["total"] == scene.book.of("sent", bait=REPORT)
    assert baits[REPORT]["bait"]["beside"]["refunded"] == 1
    assert baits[REPORT]["bait"]["money"] == [
        {"currency": "CNY", "paid": 5_000, "refunded": 5_000, "net": 0}
    ]
    found = await scene.api.get("/v1/funnel", by="campaign")
    campaigns = {item["label"]: item["campaign"] for item in found["items"]}
    for name in (FIRST, SECOND):
        stages = campaigns[name]["stages"]
        assert _totals(stages) == _expected(scene.book, CAMPAIGN_STAGES, campaign=name), name
        for stage in ("displayed", "clicked"):
            machines = scene.book.of(f"machine_{stage}", campaign=name)
            assert stages[stage]["machine"] == machines, (name, stage)
    reasons = campaigns[FIRST]["stages"]["clicked"]["machine_reasons"]
    assert sum(reasons.values()) == scene.book.of("machine_clicked", campaign=FIRST)
    assert campaigns[FIRST]["money"] == [
        {"currency": "CNY", "paid": 19_900, "refunded": 0, "net": 19_900}
    ]
    assert found["unattributed"]["converted"] == 1


def _totals(stages: JSON) -> dict[str, int]:
    return {name: stage["total"] for name, stage in stages.items()}


def _expected(book: Book, stages: tuple[str, ...], **where: str) -> dict[str, int]:
    expected = {stage: book.of(stage, **where) for stage in stages}
    expected["converted"] -= book.of("refunded", **where)
    return expected


def _wanted(book: Book) -> str:
    return f"the funnel as the book has it: {sorted(book.counts.items())}"


async def series(scene: Scene) -> Counter[Place]:
    """`baitwell_funnel_total` of metrics' own port, without the channel."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        answer = await client.get(f"http://{scene.system.targets['metrics']}/metrics")
    counted: Counter[Place] = Counter()
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            if sample.name == "baitwell_funnel_total":
                place = Place(*(sample.labels[name] for name in ("stage", "bait", "campaign")))
                counted[place] += int(sample.value)
    return counted


def scrape_config(scene: Scene) -> JSON:
    """The shipped configuration, with this system's ports and a shorter pause."""
    shipped = ROOT / "deploy" / "prometheus"
    name = "scaled.yml" if len(set(scene.system.targets.values())) > 1 else "prometheus.yml"
    config: JSON = yaml.safe_load((shipped / name).read_text())
    config["global"] = {**config.get("global", {}), "scrape_interval": "1s", "scrape_timeout": "1s"}
    config["global"]["evaluation_interval"] = "1s"
    config.pop("alerting", None)
    config["rule_files"] = [str(shipped / name) for name in config.get("rule_files", [])]
    for job in config["scrape_configs"]:
        job.pop("scrape_interval", None)
        for group in job.get("static_configs", []):
            group["targets"] = sorted(_own(scene, str(target)) for target in group["targets"])
            group["targets"] = sorted(set(group["targets"]))
    return config


def _own(scene: Scene, target: str) -> str:
    """The port of the service that a target names (any of them in one process)."""
    named = [name for name in scene.system.targets if target.startswith(f"{name}:")]
    return scene.system.targets[named[0] if named else "metrics"]


async def prometheus_agrees(scene: Scene, start: Any) -> None:
    """A real Prometheus scrapes as shipped and counts as the book does; no dashboard stays empty."""
    server: Prometheus = start(scrape_config(scene))
    query = "sum by (stage, bait, campaign) (max by (stage, channel, bait, campaign) (baitwell_funnel_total))"

    def agrees(samples: list[tuple[dict[str, str], float]]) -> bool:
        found: Counter[Place] = Counter()
        for labels, value in samples:
            place = Place(*(labels.get(name, "") for name in ("stage", "bait", "campaign")))
            found[place] += int(value)
        return found == scene.book.counts

    await server.until(query, agrees)
    for where, expression in expressions(ROOT / "deploy" / "grafana"):
        try:
            await server.until(expression)
        except AssertionError as error:
            raise AssertionError(f"{where} stays empty: {expression}") from error
