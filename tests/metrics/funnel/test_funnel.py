"""The report, its refusals, and the series."""

from typing import Any
from uuid import UUID

import pytest
from prometheus_client.exposition import generate_latest

from services.shared.events.parts import CausePart
from services.shared.events.push import (
    PushBounced,
    PushDropped,
    PushFailed,
    PushHeld,
    PushSent,
    PushUnknown,
)
from tests.metrics.bench import Bench, drawn, opened, outcome, submitted, verified

BAIT, CAMPAIGN = UUID(int=41), UUID(int=51)


def value(bench: Bench, stage: str, **labels: str) -> float | None:
    full = {"stage": stage, "channel": "email", "bait": "", "campaign": "", **labels}
    return bench.ground.registry.get_sample_value("baitwell_funnel_total", full)


async def scrape(bench: Bench) -> str:
    bench.clock.advance(6)
    answer = await bench.client.get("/metrics")
    assert answer.status_code == 200
    return answer.text


async def a_bait(bench: Bench) -> None:
    """10 forms drawn (3 more by robots), 4 leads, 3 verified, 2 opened."""
    await bench.tell(drawn(BAIT, 10, 3))
    for number in range(4):
        key = str(number) * 40
        lead = UUID(int=60 + number)
        await bench.tell(submitted(lead, BAIT, key))
        if number < 3:
            await bench.tell(verified(lead, BAIT, key))
        if number < 2:
            await bench.tell(opened(lead, BAIT, key))


class TestBaits:
    async def test_forms_and_leads(self, both: Bench) -> None:
        await a_bait(both)
        report = await both.funnel(by="bait")
        (item,) = report["items"]
        assert (item["key"], item["label"]) == (str(BAIT), "guide")
        stages = item["bait"]["stages"]
        assert list(stages) == [
            "displayed",
            "submitted",
            "verified",
            "opened",
            "inquired",
            "converted",
        ]
        assert [stage["total"] for stage in stages.values()] == [10, 4, 3, 2, 0, 0]
        assert [stage["rate"] for stage in stages.values()] == [None, 0.4, 0.75, 0.5, 0.0, 0.0]
        assert stages["displayed"]["machine_reasons"] == {"robot": 3}

    async def test_the_mail_that_brings_the_bait_stands_beside(self, both: Bench) -> None:
        await a_bait(both)
        delivery = await both.sent(
            None, bait_id=BAIT, cause=CausePart(kind="lead", id=str(UUID(int=60)))
        )
        await both.draw(delivery)
        await both.report(
            {
                "kind": "converted",
                "source": "shop",
                "order_id": "1",
                "bw": both.ground.tokens.sign("s", delivery),
            }
        )
        await both.settle(5)
        funnel = (await both.funnel(by="bait", bait="guide"))["items"][0]["bait"]
        assert funnel["stages"]["displayed"]["total"] == 10
        assert funnel["mail"]["sent"]["total"] == 1
        assert funnel["mail"]["displayed"]["rate"] == 1.0
        assert funnel["stages"]["converted"]["rate"] == 0.25

    async def test_by_slug_by_id_and_of_none(self, bench: Bench) -> None:
        await a_bait(bench)
        for bait in ("guide", str(BAIT)):
            assert len((await bench.funnel(bait=bait))["items"]) == 1
        assert (await bench.funnel(bait="nosuch"))["items"] == []


class TestCampaigns:
    async def test_what_became_of_the_deliveries(self, both: Bench) -> None:
        def of(kind: Any, number: int, reason: str | None = None) -> Any:
            return outcome(kind, UUID(int=number), campaign_id=CAMPAIGN, reason=reason)

        await both.tell(of(PushSent, 1), of(PushSent, 2), of(PushHeld, 3, "quiet_hours"))
        await both.tell(of(PushDropped, 3, "no_consent"), of(PushFailed, 4), of(PushUnknown, 5))
        await both.tell(of(PushUnknown, 6), of(PushSent, 6), of(PushBounced, 2))
        (item,) = (await both.funnel(by="campaign"))["items"]
        funnel = item["campaign"]
        assert funnel["stages"]["sent"]["distinct"] == 3
        assert funnel["dropped_reasons"] == {"no_consent": 1}
        beside = funnel["beside"]
        assert (beside["failed"], beside["dropped"], beside["unknown"]) == (1, 1, 1)
        assert beside["bounced"] == 1

    async def test_the_same_event_again_changes_nothing(self, both: Bench) -> None:
        sent = outcome(PushSent, UUID(int=1), campaign_id=CAMPAIGN)
        await both.tell(sent, sent)
        before = await both.totals()
        await both.tell(sent)
        assert await both.totals() == before

    async def test_pages_of_a_long_list(self, bench: Bench) -> None:
        for number in range(5):
            await bench.sent(UUID(int=70 + number))
        first = await bench.funnel(by="campaign", limit="2")
        keys = [item["key"] for item in first["items"]]
        page = first
        while page["next"]:
            page = await bench.funnel(by="campaign", limit="2", after=page["next"])
            keys += [item["key"] for item in page["items"]]
        assert len(keys) == len(set(keys)) == 5
        assert first["all"]["campaign"]["stages"]["sent"]["total"] == 5


class TestDaysAndChannels:
    async def test_days_add_up_to_all_time(self, both: Bench) -> None:
        for _ in range(3):
            await a_day(both)
        by_day = await both.funnel(by="day")
        assert len(by_day["items"]) == 3
        assert [item["key"] for item in by_day["items"]] == sorted(
            (item["key"] for item in by_day["items"]), reverse=True
        )
        total = sum(item["campaign"]["stages"]["clicked"]["total"] for item in by_day["items"])
        everything = (await both.funnel(by="campaign"))["all"]["campaign"]["stages"]
        assert everything["clicked"]["total"] == total == 3
        last = by_day["items"][0]["key"]
        one = await both.funnel(by="campaign", **{"from": last, "to": last})
        assert one["all"]["campaign"]["stages"]["clicked"]["total"] == 1

    async def test_channels(self, bench: Bench) -> None:
        await a_bait(bench)
        await bench.sent(CAMPAIGN)
        items = {item["key"]: item for item in (await bench.funnel(by="channel"))["items"]}
        assert set(items) == {"web", "email"}
        assert items["web"]["bait"]["stages"]["displayed"]["total"] == 10
        assert items["email"]["campaign"]["stages"]["sent"]["total"] == 1


async def a_day(bench: Bench) -> None:
    await bench.click(await bench.sent(CAMPAIGN, number=int(bench.clock.monotonic())))
    await bench.settle(24 * 3600)


@pytest.mark.parametrize(
    "params",
    [{"by": "moon"}, {"from": "x"}, {"limit": "0"}, {"bait": "a\x00b"}, {"after": "a/b"}],
)
async def test_a_wrong_question_is_named(bench: Bench, params: dict[str, str]) -> None:
    headers = await bench.key("read")
    answer = await bench.client.get("/v1/funnel", params=params, headers=headers)
    assert answer.status_code == 422


class TestSeries:
    async def test_they_are_the_totals_with_names_and_nothing_personal(self, both: Bench) -> None:
        await a_bait(both)
        delivery = await both.sent(CAMPAIGN, campaign_name="Spring")
        await both.click(delivery)
        await both.click(delivery, agent="curl/8")
        await both.settle()
        text = await scrape(both)
        assert value(both, "displayed", channel="web", bait="guide") == 10
        assert value(both, "machine_displayed", channel="web", bait="guide") == 3
        assert value(both, "clicked", campaign="Spring") == 1
        assert value(both, "machine_clicked", campaign="Spring") == 1
        for secret in (str(delivery), "ann@", both.contact_key("ann@customers.example")):
            assert secret not in text

    async def test_no_series_falls(self, bench: Bench) -> None:
        bw = bench.ground.tokens.sign("s", await bench.sent(CAMPAIGN, campaign_name="Spring"))
        report = {"kind": "converted", "source": "shop", "order_id": "1", "bw": bw}
        await bench.report(report)
        await bench.settle(5)
        await scrape(bench)
        assert value(bench, "converted", campaign="Spring") == 1
        await bench.report(report | {"state": "refunded"})
        await bench.settle(5)
        await scrape(bench)
        assert value(bench, "converted", campaign="Spring") == 1
        assert value(bench, "refunded", campaign="Spring") == 1

    async def test_two_campaigns_of_one_name_keep_apart(self, bench: Bench) -> None:
        for number in (1, 2):
            await bench.sent(UUID(int=number), campaign_name="Spring")
        text = await scrape(bench)
        assert 'campaign="Spring"' in text
        assert 'campaign="Spring (00000002)"' in text

    async def test_the_first_hundred_keep_their_labels(self, bench: Bench) -> None:
        for number in range(1, 103):
            await bench.sent(UUID(int=number), campaign_name=f"run {number:03}")
        await scrape(bench)
        assert value(bench, "sent", campaign="run 100") == 1
        assert value(bench, "sent", campaign="run 101") is None
        assert value(bench, "sent", campaign="other") == 2
        bench_text = generate_latest(bench.ground.registry).decode()
        assert bench_text.count("\nbaitwell_funnel_total{") == 101


async def test_freshness_is_the_age_of_what_is_not_published(bench: Bench) -> None:
    headers = await bench.key("internal")
    answer = await bench.client.get("/internal/freshness", headers=headers)
    assert answer.json() == {"oldest_unpublished_seconds": 0.0}
    delivery = await bench.sent(CAMPAIGN)
    await bench.client.post(f"/u/{bench.ground.tokens.sign('u', delivery)}")
    bench.clock.advance(4)
    answer = await bench.client.get("/internal/freshness", headers=headers)
    assert answer.json()["oldest_unpublished_seconds"] == pytest.approx(4)
    assert (await bench.client.get("/internal/freshness")).status_code == 401
