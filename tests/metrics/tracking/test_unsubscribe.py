"""Leaving: one button or one click, durable before the answer, counted once."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.metrics.tracking import service as tracking
from services.shared.errors import DatabaseUnavailable
from services.shared.events.engagements import EngagementUnsubscribed
from services.shared.tokens import KeyRing, Tokens
from tests.metrics.bench import Bench

CAMPAIGN = UUID(int=8)
ONE_CLICK = "List-Unsubscribe=One-Click"


def path(bench: Bench, delivery: UUID) -> str:
    return f"/u/{bench.ground.tokens.sign('u', delivery)}"


async def unsubscribed(bench: Bench) -> dict[str, Any]:
    (item,) = (await bench.funnel(by="campaign"))["items"]
    found: dict[str, Any] = item["campaign"]["stages"]["unsubscribed"]
    return found


async def one_click(bench: Bench, delivery: UUID) -> httpx.Response:
    """As RFC 8058 has it: no cookie, nothing but the body."""
    return await bench.client.post(
        path(bench, delivery),
        content=ONE_CLICK,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )


async def test_asking_shows_one_button_and_changes_nothing(bench: Bench) -> None:
    delivery = await bench.sent(CAMPAIGN)
    for language, word in (("zh", "确认退订"), ("en", "Unsubscribe")):
        answer = await bench.ask("GET", f"{path(bench, delivery)}?lang={language}")
        assert answer.status_code == 200
        assert answer.text.count("<button") == 1
        assert word in answer.text
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert await bench.said() == []
    assert bench.push == []


async def test_one_click_is_durable_told_at_once_and_counted(both: Bench) -> None:
    delivery = await both.sent(CAMPAIGN)
    answer = await one_click(both, delivery)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    (event,) = await both.said()
    assert isinstance(event, EngagementUnsubscribed)
    assert (event.delivery_id, event.way) == (delivery, "one_click")
    assert event.contact_key == both.contact_key("ann@customers.example")
    (asked,) = both.push
    assert (asked["delivery_id"], asked["contact_key"]) == (str(delivery), event.contact_key)
    await both.settle()
    assert (await unsubscribed(both))["distinct"] == 1
    assert len(await both.said()) == 1


async def test_a_multipart_body_will_do(bench: Bench) -> None:
    delivery = await bench.sent(CAMPAIGN)
    files = {"List-Unsubscribe": (None, "One-Click")}
    answer = await bench.client.post(path(bench, delivery), files=files)
    assert answer.status_code == 200
    (event,) = await bench.said()
    assert isinstance(event, EngagementUnsubscribed)
    assert event.way == "one_click"


async def test_the_button_of_our_page_leaves_too(bench: Bench) -> None:
    delivery = await bench.sent(CAMPAIGN)
    answer = await bench.client.post(path(bench, delivery), data={"way": "page"})
    assert answer.status_code == 200
    (event,) = await bench.said()
    assert isinstance(event, EngagementUnsubscribed)
    assert event.way == "page"


async def test_leaving_twice_counts_once_and_is_heard_twice(both: Bench) -> None:
    """Whoever consented again in between and leaves by the same old mail has left."""
    delivery = await both.sent(CAMPAIGN)
    for _ in range(2):
        assert (await one_click(both, delivery)).status_code == 200
        await both.settle()
    assert (await unsubscribed(both))["total"] == 1
    assert len(await both.said()) == 2
    assert len(both.push) == 2


async def test_who_leaves_before_metrics_knows_the_message_is_heard_at_once(both: Bench) -> None:
    delivery = uuid4()
    assert (await one_click(both, delivery)).status_code == 200
    (event,) = await both.said()
    assert isinstance(event, EngagementUnsubscribed)
    assert (event.delivery_id, event.contact_key) == (delivery, None)
    left_at = both.clock.now()
    await both.settle(3)
    await both.sent(CAMPAIGN, delivery=delivery)
    await both.settle(3)
    assert (await unsubscribed(both))["distinct"] == 1
    # and heard once more with whose it is, so that the person's timeline and consent show it
    first, again = await both.received_of_outbox()
    assert isinstance(again.event, EngagementUnsubscribed)
    assert again.event.contact_key == both.contact_key("ann@customers.example")
    assert (again.event.campaign_id, again.event.way) == (CAMPAIGN, "one_click")
    assert (again.occurred_at, first.id != again.id) == (left_at, True)
    await both.settle(3)
    assert len(await both.said()) == 2


async def test_it_holds_when_push_does_not_answer(bench: Bench) -> None:
    delivery = await bench.sent(CAMPAIGN)
    await bench.ground.neighbours["push"].close()

    async def away(*_: Any) -> None:
        from services.shared.http.internal import ServiceUnreachable

        raise ServiceUnreachable("POST /internal/unsubscribe: ConnectError")

    bench.ground.neighbours["push"].post = away  # type: ignore[assignment,method-assign]
    assert (await one_click(bench, delivery)).status_code == 200
    assert len(await bench.said()) == 1
    failed = bench.ground.registry.get_sample_value(
        "baitwell_unsubscribe_asks_total", {"result": "failed"}
    )
    assert failed == 1


async def test_without_a_database_it_is_refused_with_a_time_to_come_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(tracking, "_leave", away)
    answer = await one_click(bench, uuid4())
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


async def test_forged_and_foreign_tokens_are_our_404(bench: Bench) -> None:
    """S13: nothing is told of why."""
    stranger = Tokens(KeyRing.parse("1:a secret of somebody else"))
    tokens = [
        stranger.sign("u", uuid4()),
        bench.ground.tokens.sign("o", uuid4()),
        "x" * 47,
        "x",
    ]
    pages = set()
    for token in tokens:
        for method in ("GET", "POST"):
            answer = await bench.ask(method, f"/u/{token}")
            assert answer.status_code == 404
            pages.add(answer.text)
    assert len(pages) == 1
    assert await bench.said() == []


async def test_links_signed_with_an_older_key_of_the_ring_still_leave(bench: Bench) -> None:
    ring = KeyRing.parse("2:the key that signs from now on,1:a secret that only tests know")
    old = Tokens(KeyRing.parse("1:a secret that only tests know")).sign("u", UUID(int=3))
    assert Tokens(ring).verify("u", old) == (UUID(int=3), 0)
