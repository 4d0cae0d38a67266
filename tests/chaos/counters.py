"""The counters that the system shows: the funnel and `/metrics`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.client import Client
from tests.chaos.crowd import SLUG


async def counters(client: Client, campaign_id: str, metrics_urls: Sequence[str]) -> dict[str, int]:
    """The counters that the sets are compared with, by `<where> <stage>`."""
    baits = await client.call("GET", f"/v1/funnel?by=bait&bait={SLUG}")
    campaigns = await client.call("GET", f"/v1/funnel?by=campaign&campaign={campaign_id}")
    everything = await client.call("GET", "/v1/funnel?by=channel")
    return {
        **_of_bait(next((i["bait"] for i in baits["items"] if i["label"] == SLUG), None)),
        **_of_campaign(campaigns["items"][0]["campaign"] if campaigns["items"] else None),
        **_of_all(everything),
        **_of_prometheus(await samples(metrics_urls)),
    }


async def series(urls: Sequence[str], wanted: str, **labels: str) -> int:
    """The sum of a series of `/metrics` of these processes, of those with these labels."""
    return int(
        sum(
            value
            for name, found, value in await samples(urls)
            if name == wanted and labels.items() <= found.items()
        )
    )


def _of_bait(funnel: Any) -> dict[str, int]:
    if not funnel:
        return {}
    stages, mail = funnel["stages"], funnel["mail"] or {}
    found = {f"bait {stage}": stages[stage]["total"] for stage in ("submitted", "verified")}
    found["bait opened"] = stages["opened"]["distinct"]
    for stage in ("sent", "unknown", "dropped"):
        found[f"mail {stage}"] = mail[stage]["total"] if stage in mail else 0
    return found


def _of_campaign(funnel: Any) -> dict[str, int]:
    if not funnel:
        return {}
    stages = funnel["stages"]
    found = {
        f"campaign {stage}": stages[stage]["distinct"]
        for stage in ("clicked", "displayed", "unsubscribed")
    }
    # these happen once each, so that their total has to be right, too
    found["campaign sent"] = stages["sent"]["total"]
    found["campaign unknown"] = funnel["beside"]["unknown"]
    return found


def _of_all(report: Any) -> dict[str, int]:
    funnels = [funnel for kind in ("bait", "campaign", "other") if (funnel := report["all"][kind])]
    found = {
        f"all {stage}": report["unattributed"][stage]
        + sum(funnel["stages"].get(stage, {"total": 0})["total"] for funnel in funnels)
        for stage in ("inquired", "converted")
    }
    money = [line for funnel in (*funnels, report["unattributed"]) for line in funnel["money"]]
    found["all paid"] = sum(line["paid"] for line in money if line["currency"] == "CNY")
    return found


def _of_prometheus(found_samples: list[tuple[str, dict[str, str], float]]) -> dict[str, int]:
    found: Counter[str] = Counter(
        {f"prometheus {name}": 0 for name in ("bait submitted", "bait verified")}
    )
    for name, labels, value in found_samples:
        if name != "baitwell_funnel_total":
            continue
        stage = labels["stage"].removeprefix("unattributed_")
        if stage in ("submitted", "verified"):
            found[f"prometheus bait {stage}"] += int(value)
        elif stage == "sent":
            where = "campaign" if labels["campaign"] else "mail"
            found[f"prometheus {where} sent"] += int(value)
    return dict(found)


async def samples(urls: Sequence[str]) -> list[tuple[str, dict[str, str], float]]:
    """What `/metrics` of these processes shows: name, labels, value."""
    found = []
    for url in urls:
        async with Client(url) as client:
            answer = await client.ask("GET", "/metrics")
        found += [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        ]
    return found
