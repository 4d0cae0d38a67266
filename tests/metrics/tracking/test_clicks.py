"""Clicks and opens: redirected whatever happens, taken down, classed, counted."""

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID, uuid4

import pytest

from services.shared.errors import DatabaseUnavailable
from services.shared.events.engagements import EngagementClicked, EngagementDisplayed
from services.shared.events.push import PushSent
from tests.metrics.bench import BROWSER, TARGET, Bench, outcome

CAMPAIGN = UUID(int=7)


async def stages(bench: Bench) -> dict[str, Any]:
    (item,) = (await bench.funnel(by="campaign"))["items"]
    found: dict[str, Any] = item["campaign"]["stages"]
    return found


class TestRedirect:
    async def test_a_valid_link_leads_to_its_target_and_tells_nobody(self, bench: Bench) -> None:
        answer = await bench.click(uuid4())
        assert answer.status_code == 302
        assert answer.headers["location"] == TARGET
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"

    async def test_words_of_other_scripts_reach_the_target_encoded(self, bench: Bench) -> None:
        answer = await bench.click(uuid4(), url="https://shop.example/目录?q=茶 叶#顶")
        assert answer.headers["location"].isascii()
        assert " " not in answer.headers["location"]

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "u=",
            "u=https%3A%2F%2Fevil.example%2F",
            f"u={quote(TARGET, safe='')}&u={quote(TARGET, safe='')}",
            f"u={quote(TARGET, safe='')}x",
            "u=javascript%3Aalert(1)",
            "u=%ff%fe",
            "&".join(["a=1"] * 50),
            "u=https%3A%2F%2F",
        ],
    )
    async def test_any_other_target_is_our_404(self, bench: Bench, query: str) -> None:
        token = bench.ground.tokens.sign("c", uuid4(), 1, TARGET)
        answer = await bench.ask("GET", f"/c/{token}?{query}")
        assert answer.status_code == 404
        assert "location" not in answer.headers
        assert "evil" not in answer.text
        assert answer.headers["referrer-policy"] == "no-referrer"

    async def test_a_signed_link_to_something_else_than_the_web_is_refused(
        self, bench: Bench
    ) -> None:
        assert (await bench.click(uuid4(), url="javascript:alert(1)")).status_code == 404

    async def test_a_token_of_another_kind_is_refused(self, bench: Bench) -> None:
        for kind in "ours":
            token = bench.ground.tokens.sign(kind, uuid4(), 1, TARGET)  # type: ignore[arg-type]
            path = f"/c/{token}?u={quote(TARGET, safe='')}"
            assert (await bench.ask("GET", path)).status_code == 404

    async def test_it_redirects_when_nothing_can_be_stored_and_counts_that(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def full(_work: Any) -> None:
            raise DatabaseUnavailable

        monkeypatch.setattr(bench.ground.database, "transaction", full)
        answer = await bench.click(uuid4())
        assert answer.status_code == 302
        value = bench.ground.registry.get_sample_value(
            "baitwell_tracking_unstored_total", {"kind": "engagement.clicked"}
        )
        assert value == 1
        assert (await bench.draw(uuid4())).status_code == 200

    async def test_only_listed_hosts_get_the_person_token(self, tmp_path: Any) -> None:
        from tests.metrics.bench import open_bench

        async with open_bench(tmp_path, link_hosts="shop.example") as bench:
            delivery = uuid4()
            listed = (await bench.click(delivery)).headers["location"]
            token = parse_qs(urlsplit(listed).query)["bw"][0]
            assert listed.startswith(TARGET)
            assert bench.ground.tokens.verify("s", token) == (delivery, 0)
            other = await bench.click(delivery, url="https://shop.example.evil.example/a#b")
            assert "bw=" not in other.headers["location"]
            anchor = await bench.click(delivery, url="https://SHOP.example/a#b")
            assert anchor.headers["location"].endswith("#b")
            assert "bw=" in urlsplit(anchor.headers["location"]).query


class TestCounting:
    async def test_a_persons_click_counts_when_its_window_has_closed(self, both: Bench) -> None:
        delivery = await both.sent(CAMPAIGN)
        await both.click(delivery)
        await both.settle(0.5)
        assert (await stages(both))["clicked"]["total"] == 0
        await both.settle(0.6)
        assert (await stages(both))["clicked"]["total"] == 1
        (event,) = [e for e in await both.said() if isinstance(e, EngagementClicked)]
        assert (event.delivery_id, event.campaign_id, event.machine) == (delivery, CAMPAIGN, False)
        assert (event.link, event.url) == (1, TARGET)
        assert event.contact_key == both.contact_key("ann@customers.example")

    async def test_two_clicks_of_one_message_are_one_delivery_in_the_rate(
        self, both: Bench
    ) -> None:
        delivery = await both.sent(CAMPAIGN)
        await both.sent(CAMPAIGN, number=1)
        for _ in range(2):
            await both.click(delivery)
            await both.settle(60)
        clicked = (await stages(both))["clicked"]
        assert (clicked["total"], clicked["distinct"], clicked["rate"]) == (2, 1, 0.5)

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"agent": "curl/8.5.0"}, "tool"),
            ({"agent": ""}, "no-agent"),
            ({"agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}, "robot"),
            ({"agent": "Barracuda Sentinel (EE)"}, "gateway"),
            ({"headers": {"sec-purpose": "prefetch;prerender"}}, "prefetch"),
            ({"headers": {"purpose": "prefetch"}}, "prefetch"),
        ],
    )
    async def test_a_machines_click_is_counted_apart_with_its_reason(
        self, bench: Bench, options: dict[str, Any], reason: str
    ) -> None:
        delivery = await bench.sent(CAMPAIGN)
        assert (await bench.click(delivery, **options)).status_code == 302
        await bench.settle()
        clicked = (await stages(bench))["clicked"]
        assert (clicked["total"], clicked["distinct"]) == (0, 0)
        assert (clicked["machine"], clicked["machine_reasons"]) == (1, {reason: 1})

    async def test_head_is_a_machines(self, bench: Bench) -> None:
        delivery = await bench.sent(CAMPAIGN)
        answer = await bench.ask("HEAD", bench.click_path(delivery))
        assert (answer.status_code, answer.headers["location"]) == (302, TARGET)
        await bench.settle()
        assert (await stages(bench))["clicked"]["machine_reasons"] == {"head": 1}

    async def test_the_first_seconds_after_sending_belong_to_machines(self, both: Bench) -> None:
        delivery = uuid4()
        sent = outcome(PushSent, delivery, campaign_id=CAMPAIGN)
        await both.tell(sent)
        both.clock.advance(2.0)
        await both.click(delivery)
        await both.draw(delivery)
        both.clock.advance(2.0)
        await both.click(delivery)
        await both.settle()
        found = await stages(both)
        assert found["clicked"]["machine_reasons"] == {"early": 1}
        assert found["clicked"]["total"] == 1
        assert found["displayed"]["machine_reasons"] == {"early": 1}

    async def test_whoever_follows_all_links_at_once_is_a_machine(self, both: Bench) -> None:
        delivery = await both.sent(CAMPAIGN)
        for link in (1, 2, 3):
            await both.click(delivery, link)
            both.clock.advance(0.05)
        await both.settle()
        clicked = (await stages(both))["clicked"]
        assert (clicked["total"], clicked["machine_reasons"]) == (0, {"all_links": 3})

    async def test_clicks_that_were_counted_too_soon_are_corrected_and_no_series_falls(
        self, both: Bench
    ) -> None:
        delivery = await both.sent(CAMPAIGN)
        await both.click(delivery, 1)
        both.clock.advance(0.9)
        await both.click(delivery, 2)
        await both.settle(0.1)  # the first one's window has closed
        assert (await stages(both))["clicked"]["total"] == 1
        await both.click(delivery, 3)
        await both.settle()
        clicked = (await stages(both))["clicked"]
        assert (clicked["total"], clicked["counted"], clicked["distinct"]) == (0, 1, 0)
        assert clicked["machine"] == 3

    async def test_a_click_that_is_corrected_is_said_again_as_a_machines(self, both: Bench) -> None:
        delivery = await both.sent(CAMPAIGN)
        await both.click(delivery, 1)
        both.clock.advance(0.9)
        await both.click(delivery, 2)
        await both.settle(0.1)
        await both.click(delivery, 3)
        await both.settle()
        said = [event for event in await both.said() if isinstance(event, EngagementClicked)]
        first, *others = [e for e in said if e.engagement_id == said[0].engagement_id]
        assert (first.machine, first.reclassified) == (False, False)
        (correction,) = others
        assert correction == first.model_copy(
            update={"machine": True, "machine_reason": "all_links", "reclassified": True}
        )
        assert correction.contact_key == both.contact_key("ann@customers.example")
        assert [e.reclassified for e in said].count(True) == 1

    async def test_an_early_bird_waits_until_its_delivery_is_known(self, both: Bench) -> None:
        delivery = uuid4()
        await both.click(delivery)
        await both.settle(2)
        assert (await both.funnel(by="campaign"))["items"] == []
        await both.sent(CAMPAIGN, delivery=delivery)
        await both.settle(0)
        assert (await stages(both))["clicked"]["distinct"] == 1

    async def test_opens_count_and_mail_services_may_fetch_for_a_person(self, both: Bench) -> None:
        delivery = await both.sent(CAMPAIGN)
        answer = await both.draw(delivery)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
        assert answer.headers["cache-control"] == "no-store"
        await both.draw(delivery, agent="Mozilla/5.0 (via ggpht.com GoogleImageProxy)")
        await both.draw(delivery, agent="Mozilla/5.0")
        await both.settle()
        displayed = (await stages(both))["displayed"]
        assert (displayed["total"], displayed["distinct"]) == (2, 1)
        assert displayed["machine_reasons"] == {"gateway": 1}
        events = [e for e in await both.said() if isinstance(e, EngagementDisplayed)]
        assert sorted(event.machine for event in events) == [False, False, True]


async def test_a_forged_pixel_is_our_404(bench: Bench) -> None:
    token = bench.ground.tokens.sign("o", uuid4())
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert (await bench.ask("GET", f"/o/{forged}")).status_code == 404


async def test_ten_thousand_mutated_links_lead_nowhere_else(bench: Bench) -> None:
    """S1: bit flips, cuts, swaps and foreign targets, from a seed."""
    import random

    random_ = random.Random(20260302)
    delivery = uuid4()
    token = bench.ground.tokens.sign("c", delivery, 1, TARGET)
    letters = "ABCabc019-_.~/%"
    routes = bench.app.router
    for number in range(10_000):
        text, target = token, TARGET
        choice = number % 5
        place = random_.randrange(len(token))
        if choice == 0:
            text = token[:place] + random_.choice(letters) + token[place + 1 :]
        elif choice == 1:
            text = token[:place] + token[place + random_.randrange(1, 4) :]
        elif choice == 2:
            target = random_.choice(
                ["https://evil.example/", "//evil.example", TARGET + "/", TARGET[:-1], "http:evil"]
            )
        elif choice == 3:
            swap = random_.randrange(len(token))
            cut = list(token)
            cut[place], cut[swap] = cut[swap], cut[place]
            text = "".join(cut)
        else:
            spot = random_.randrange(8, len(TARGET))
            target = TARGET[:spot] + random_.choice("@\\/:?#%\n") + TARGET[spot:]
        if (text, target) == (token, TARGET):
            continue
        status, location = await _bare(routes, f"/c/{text}", f"u={quote(target, safe='')}")
        assert status in (404, 307), (text, target)
        assert location is None or location.startswith("http://testserver/"), location


async def _bare(app: Any, path: str, query: str) -> tuple[int, str | None]:
    """Ask without a client between: 10,000 times in seconds."""
    found: dict[str, Any] = {}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found["status"] = message["status"]
            found["headers"] = dict(message["headers"])

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"user-agent", BROWSER.encode()), (b"host", b"testserver")],
        "scheme": "http",
        "server": ("testserver", 80),
    }
    from starlette.exceptions import HTTPException

    try:
        await app(scope, receive, send)
    except HTTPException as error:
        return error.status_code, None
    location = found["headers"].get(b"location")
    return found["status"], location.decode() if location else None
