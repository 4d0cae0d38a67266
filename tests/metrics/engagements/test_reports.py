"""What shops report: durable, credited by the rule, counted once, taken back by a refund."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.shared.events.engagements import (
    EngagementConverted,
    EngagementInquired,
    EngagementUnsubscribed,
)
from services.shared.events.parts import ProfileContactPart, ProfileState
from services.shared.events.profiles import ProfileChanged, ProfileErased, ProfileMerged
from tests.metrics.bench import Bench, submitted

CAMPAIGN, OTHER = UUID(int=21), UUID(int=22)
BAIT = UUID(int=31)
ANN = "ann@customers.example"


def order(number: str = "A1", **more: Any) -> dict[str, Any]:
    return {
        "kind": "converted",
        "source": "shop",
        "order_id": number,
        "amount": 19900,
        "currency": "CNY",
        "contact": {"channel": "email", "address": ANN},
        **more,
    }


def changed(profile: UUID, *keys: str) -> ProfileChanged:
    now = "2026-03-02T04:00:00Z"
    contacts = [
        ProfileContactPart(
            channel="email", address="x", identity="x", contact_key=key, abuse_key="a"
        )
        for key in keys
    ]
    return ProfileChanged(
        state=ProfileState.model_validate(
            {
                "profile_id": profile,
                "revision": 1,
                "language": "en",
                "timezone": None,
                "contacts": contacts,
                "consents": (),
                "fields": {},
                "tags": (),
                "created_at": now,
                "changed_at": now,
            }
        )
    )


async def the(bench: Bench, by: str, key: UUID) -> Any:
    items = (await bench.funnel(by=by))["items"]
    (item,) = [item for item in items if item["key"] == str(key)]
    return item[by]


class TestCredit:
    async def test_the_links_token_comes_first(self, both: Bench) -> None:
        named = await both.sent(CAMPAIGN)
        clicked = await both.sent(OTHER)
        await both.click(clicked)
        bw = both.ground.tokens.sign("s", named)
        assert (await both.report(order(bw=bw))).status_code == 202
        await both.settle(5)
        funnel = await the(both, "campaign", CAMPAIGN)
        assert funnel["stages"]["converted"]["distinct"] == 1
        assert funnel["money"] == [{"currency": "CNY", "paid": 19900, "refunded": 0, "net": 19900}]
        (event,) = [e for e in await both.said() if isinstance(e, EngagementConverted)]
        assert (event.delivery_id, event.campaign_id) == (named, CAMPAIGN)
        assert (event.order_id, event.amount, event.currency) == ("A1", 19900, "CNY")

    async def test_then_the_last_human_click_of_seven_days(self, both: Bench) -> None:
        first, last = await both.sent(CAMPAIGN), await both.sent(OTHER)
        await both.click(first)
        await both.settle(60)
        await both.click(last)
        await both.settle(60)
        await both.click(first, agent="curl/8")
        assert (await both.report(order())).status_code == 202
        await both.settle(5)
        assert (await the(both, "campaign", OTHER))["stages"]["converted"]["total"] == 1
        assert (await the(both, "campaign", CAMPAIGN))["stages"]["converted"]["total"] == 0

    async def test_a_click_of_the_last_second_gets_it(self, bench: Bench) -> None:
        await bench.click(await bench.sent(CAMPAIGN))
        await bench.report(order())
        await bench.settle(1.3)
        assert (await the(bench, "campaign", CAMPAIGN))["stages"]["converted"]["total"] == 1

    async def test_then_the_last_bait(self, both: Bench) -> None:
        key = both.contact_key(ANN)
        await both.tell(submitted(UUID(int=1), UUID(int=30), key, "older"))
        both.clock.advance(60)
        await both.tell(submitted(UUID(int=2), BAIT, key))
        await both.click(await both.sent(CAMPAIGN))
        await both.settle(8 * 24 * 3600)
        assert (await both.report(order())).status_code == 202
        await both.settle(5)
        funnel = await the(both, "bait", BAIT)
        assert funnel["stages"]["converted"]["distinct"] == 1
        assert (await the(both, "campaign", CAMPAIGN))["stages"]["converted"]["total"] == 0

    async def test_then_none(self, bench: Bench) -> None:
        bench.people[ANN] = {"profile_id": str(UUID(int=5)), "contact_keys": ["k" * 40]}
        await bench.report(order())
        await bench.settle(5)
        report = await bench.funnel(by="campaign")
        assert report["items"] == []
        assert report["all"]["other"]["stages"]["converted"]["total"] == 1
        assert report["unattributed"]["converted"] == 0
        assert "7 天" in report["rule"]

    async def test_a_merged_profile_is_read_as_the_one_it_is_now(self, both: Bench) -> None:
        now, before = uuid4(), uuid4()
        await both.tell(changed(before, both.contact_key(ANN)))
        await both.tell(changed(now, both.contact_key("ann.b@customers.example")))
        await both.tell(ProfileMerged(profile_id=now, merged_id=before))
        await both.click(await both.sent(CAMPAIGN))
        await both.settle(10)
        await both.report(order(contact=None, profile_id=str(now)))
        await both.settle(5)
        assert (await the(both, "campaign", CAMPAIGN))["stages"]["converted"]["total"] == 1

    async def test_a_token_of_a_delivery_not_known_yet_waits_for_it(self, both: Bench) -> None:
        delivery = uuid4()
        await both.report(order(bw=both.ground.tokens.sign("s", delivery)))
        await both.settle(5)
        assert (await both.funnel(by="campaign"))["items"] == []
        await both.sent(CAMPAIGN, delivery=delivery)
        await both.settle(0)
        assert (await the(both, "campaign", CAMPAIGN))["stages"]["converted"]["total"] == 1


class TestStrangers:
    async def test_they_are_kept_counted_and_joined_when_they_appear(self, both: Bench) -> None:
        await both.report(order())
        await both.report(
            {"kind": "inquired", "source": "desk", "contact": order()["contact"], "subject": "Hm?"}
        )
        await both.settle(5)
        report = await both.funnel(by="bait")
        assert report["unattributed"] == {
            "inquired": 1,
            "converted": 1,
            "money": [{"currency": "CNY", "paid": 19900, "refunded": 0, "net": 19900}],
        }
        lead = submitted(UUID(int=2), BAIT, both.contact_key(ANN))
        await both.tell(lead, at=both.clock.now() - timedelta(days=1))
        await both.settle(0)
        report = await both.funnel(by="bait")
        assert report["unattributed"] == {"inquired": 0, "converted": 0, "money": []}
        stages = report["items"][0]["bait"]["stages"]
        assert (stages["converted"]["total"], stages["inquired"]["total"]) == (1, 1)
        converted = [e for e in await both.said() if isinstance(e, EngagementConverted)]
        assert len(converted) == 1

    async def test_the_refund_of_a_strangers_order_is_joined_with_it(self, both: Bench) -> None:
        await both.report(order())
        await both.report(order(state="refunded"))
        await both.settle(5)
        assert (await both.funnel())["unattributed"]["converted"] == 0
        lead = submitted(UUID(int=2), BAIT, both.contact_key(ANN))
        await both.tell(lead, at=both.clock.now() - timedelta(days=1))
        await both.settle(0)
        funnel = await the(both, "bait", BAIT)
        assert funnel["stages"]["converted"]["total"] == 0
        assert funnel["beside"]["refunded"] == 1
        assert funnel["money"][0]["net"] == 0

    async def test_profile_is_asked_who_they_are(self, bench: Bench) -> None:
        profile, key = uuid4(), bench.contact_key("other@customers.example")
        bench.people[ANN] = {"profile_id": str(profile), "contact_keys": [key]}
        await bench.click(await bench.sent(CAMPAIGN, email="other@customers.example"))
        await bench.settle(5)
        await bench.report(order())
        await bench.settle(5)
        assert (await the(bench, "campaign", CAMPAIGN))["stages"]["converted"]["total"] == 1


class TestOnce:
    async def test_the_same_order_of_the_same_source_counts_once(self, both: Bench) -> None:
        await both.sent(CAMPAIGN)
        states = [
            (await both.report(order())).json()["items"][0]["state"],
            (await both.report(order())).json()["items"][0]["state"],
            (await both.report(order(source="branch"))).json()["items"][0]["state"],
        ]
        await both.settle(5)
        states.append((await both.report(order())).json()["items"][0]["state"])
        await both.settle(5)
        assert states == ["accepted", "known", "accepted", "known"]
        assert (await both.funnel())["all"]["other"]["stages"]["converted"]["total"] == 2

    async def test_a_refund_takes_it_back_and_no_series_falls(self, both: Bench) -> None:
        bw = both.ground.tokens.sign("s", await both.sent(CAMPAIGN))
        await both.report(order(bw=bw))
        await both.settle(5)
        for _ in range(2):
            await both.report(order(state="refunded", amount=None, currency=None))
            await both.settle(5)
        funnel = await the(both, "campaign", CAMPAIGN)
        converted = funnel["stages"]["converted"]
        assert (converted["total"], converted["distinct"], converted["counted"]) == (0, 0, 1)
        assert funnel["beside"]["refunded"] == 1
        assert funnel["money"] == [{"currency": "CNY", "paid": 19900, "refunded": 19900, "net": 0}]

    async def test_a_refund_that_comes_first_waits_for_its_order(self, both: Bench) -> None:
        bw = both.ground.tokens.sign("s", await both.sent(CAMPAIGN))
        await both.report(order(state="refunded"))
        await both.settle(5)
        await both.report(order(bw=bw))
        await both.settle(5)
        await both.settle(5)
        assert (await the(both, "campaign", CAMPAIGN))["stages"]["converted"]["total"] == 0

    async def test_a_key_of_another_caller_is_another_key(self, both: Bench) -> None:
        report = {"kind": "inquired", "source": "desk", "contact": order()["contact"]}
        first = await both.report(report, {"idempotency-key": '"abc"'})
        again = await both.report(report, {"idempotency-key": "abc"})
        # each report of the test is by a key of its own: the same word is another's
        assert first.json() != again.json()

    async def test_a_repeated_key_of_the_same_caller(self, both: Bench) -> None:
        headers = await both.key("report") | {"idempotency-key": '"abc"'}
        report = {"kind": "inquired", "source": "desk", "contact": order()["contact"]}
        first = await both.client.post("/v1/engagements", json=report, headers=headers)
        headers["idempotency-key"] = "abc"
        again = await both.client.post("/v1/engagements", json=report, headers=headers)
        assert first.status_code == again.status_code == 202
        assert first.json() == again.json()
        other = await both.client.post("/v1/engagements", json=order(), headers=headers)
        assert other.status_code == 422
        await both.settle(5)
        assert (await both.funnel())["unattributed"]["inquired"] == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "field", "reason"),
        [
            (order(order_id=None), "order_id", "required"),
            (order(currency=None), "currency", "required"),
            (order(currency="XXQ"), "currency", "not_choice"),
            (order(amount=-1), "amount", "out_of_range"),
            (order(amount="5"), "amount", "not_integer"),
            (order(contact=None), "contact", "required"),
            (order(contact={"channel": "email", "address": "no"}), "contact.address", "not_email"),
            (order(bw="forged"), "bw", "invalid"),
            (order(at="2999-01-01T00:00:00Z"), "at", "out_of_range"),
            (order(at=5), "at", "not_date"),
            (order(kind="sold"), "kind", "invalid"),
            (order(surprise=1), "surprise", "unknown_field"),
            ([order(), order(order_id=None)], "1.order_id", "required"),
            ([order()] * 1001, "body", "too_long"),
            ([], "body", "too_short"),
        ],
    )
    async def test_what_is_wrong_is_named(
        self, bench: Bench, body: Any, field: str, reason: str
    ) -> None:
        answer = await bench.report(body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert [(e["field"], e["reason"]) for e in answer.json()["errors"]] == [(field, reason)]

    async def test_a_batch_is_taken_whole_or_not_at_all(self, bench: Bench) -> None:
        assert (await bench.report([order("A"), order("B", amount=-1)])).status_code == 422
        answer = await bench.report([order("A"), order("B"), order("A")])
        assert [i["state"] for i in answer.json()["items"]] == ["accepted", "accepted", "known"]

    async def test_only_a_key_of_scope_report_may(self, bench: Bench) -> None:
        assert (await bench.client.post("/v1/engagements", json=order())).status_code == 401
        wrong = await bench.key("read")
        answer = await bench.client.post("/v1/engagements", json=order(), headers=wrong)
        assert answer.status_code == 403
        answer = await bench.client.get("/v1/funnel", headers=await bench.key("report"))
        assert answer.status_code == 403


class TestPeople:
    async def test_a_reported_unsubscribe_stops_every_contact_of_the_profile(
        self, both: Bench
    ) -> None:
        profile = uuid4()
        await both.tell(changed(profile, "a" * 40, "b" * 40))
        report = {"kind": "unsubscribed", "source": "desk", "profile_id": str(profile)}
        assert (await both.report(report)).status_code == 202
        events = [e for e in await both.said() if isinstance(e, EngagementUnsubscribed)]
        assert {event.contact_key for event in events} == {"a" * 40, "b" * 40}
        assert {asked["contact_key"] for asked in both.push} == {"a" * 40, "b" * 40}
        await both.settle(5)
        assert (await both.funnel())["all"]["other"]["stages"]["unsubscribed"]["total"] == 1

    async def test_the_numbers_of_an_erased_person_stay_and_the_person_goes(
        self, both: Bench
    ) -> None:
        profile, key = uuid4(), both.contact_key(ANN)
        await both.tell(changed(profile, key))
        delivery = await both.sent(CAMPAIGN, profile_id=profile)
        await both.click(delivery)
        await both.settle(5)
        await both.report(order())
        await both.settle(5)
        await both.tell(ProfileErased(profile_id=profile, contact_keys=(key,)))
        funnel = await the(both, "campaign", CAMPAIGN)
        assert funnel["stages"]["converted"]["total"] == 1

        def everything(session: Any) -> str:
            from services.metrics.models import metadata

            return str(
                [
                    session.execute(table.select()).all()
                    for table in metadata.sorted_tables
                    if table.name != "outbox"
                ]
            )

        kept = await both.ground.database.read(everything)
        assert key not in kept
        assert str(profile) not in kept

    async def test_an_inquiry_is_told_with_its_subject(self, bench: Bench) -> None:
        report = {
            "kind": "inquired",
            "source": "desk",
            "subject": "Is there tea?",
            "bw": bench.ground.tokens.sign("s", await bench.sent(CAMPAIGN)),
        }
        await bench.report(report)
        await bench.settle(5)
        (event,) = [e for e in await bench.said() if isinstance(e, EngagementInquired)]
        assert (event.source, event.subject) == ("desk", "Is there tea?")
