"""The campaign pages as an operator sees them."""

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from services.push.campaigns import repository
from services.push.campaigns.repository import Count
from services.push.deliveries.states import State
from services.push.pages.campaigns import progress_of
from services.push.pages.reasons import TONES, explained
from services.shared.auth.access import SESSION_COOKIE
from tests.push.serving import Served, served


@pytest.fixture
async def push(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as running:
        yield running


async def log_in(push: Served, who: dict[str, str]) -> None:
    """A browser's session."""
    cookie = await push.ground.keys.log_in(who["authorization"].removeprefix("Bearer "))
    push.client.cookies.set(SESSION_COOKIE, cookie)


async def a_running_one(push: Served, **changes: Any) -> str:
    await push.people(10)
    made = await push.make_campaign(**changes)
    await push.act(made["id"], "start")
    await push.plan(8)
    return str(made["id"])


async def page(push: Served, path: str, language: str = "en") -> str:
    answer = await push.client.get(
        path, headers={"accept-language": language, "accept": "text/html"}
    )
    assert answer.status_code == 200, answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    return answer.text


class TestTheList:
    async def test_shows_each_campaign_with_its_progress(self, push: Served) -> None:
        await a_running_one(push, name="Spring <sale>")
        await push.make_campaign(name="Draft one")
        await log_in(push, push.reader)
        text = await page(push, "/campaigns")
        assert "Spring &lt;sale&gt;" in text
        assert "<sale>" not in text
        assert 'aria-label="sent 0, waiting 10, not sent 0, failed 0"' in text
        assert "Draft one" in text
        assert "发送中" in await page(push, "/campaigns", "zh-CN")

    async def test_goes_on(self, push: Served) -> None:
        template = await push.make_template()
        for number in range(21):
            push.clock.advance(1.0)
            await push.make_campaign(name=f"No {number}", template_id=template["id"])
        await log_in(push, push.reader)
        text = await page(push, "/campaigns")
        assert ("No 20<" in text, "No 0<" in text) == (True, False)
        following = re.search(r'href="(/campaigns\?cursor=[^"]+)"', text)
        assert following is not None
        assert "No 0<" in await page(push, following[1])

    async def test_sends_a_stranger_to_log_in(self, push: Served) -> None:
        answer = await push.client.get("/campaigns")
        assert answer.status_code in (303, 401)

    async def test_an_empty_one_says_how_to_begin(self, push: Served) -> None:
        await log_in(push, push.reader)
        assert "POST /v1/campaigns" in await page(push, "/campaigns")


class TestOne:
    async def test_explains_every_reason(self, push: Served) -> None:
        campaign_id = await a_running_one(push)
        people = sorted(push.profile.members)

        def work(session: Any) -> None:
            for found, state, reason in (
                (people[:4], "dropped", "no_consent"),
                (people[4:6], "sent", None),
                (people[6:7], "held", "quiet_hours"),
            ):
                session.execute(
                    update(repository.LEDGER)
                    .where(repository.LEDGER.c.profile_id.in_(found))
                    .values(state=state, reason=reason, not_before=morning)
                )

        morning = push.clock.now() + timedelta(hours=9)
        await push.ground.database.transaction(work)
        push.clock.advance(3.0)
        await log_in(push, push.reader)
        text = await page(push, f"/campaigns/{campaign_id}")
        assert "They did not agree to marketing, so nothing was sent." in text
        assert "It is night where they are; it goes out afterwards." in text
        at = morning.astimezone(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M")
        assert text.count(f">{at}</time>") == 1
        told = await push.client.get(f"/v1/campaigns/{campaign_id}/counts", headers=push.reader)
        until = {c["state"]: c["until"] for c in told.json()["deliveries"]}
        assert datetime.fromisoformat(until.pop("held")) == morning
        assert set(until.values()) == {None}
        assert f'hx-get="/campaigns/{campaign_id}/live?lang=en"' in text
        chinese = await page(push, f"/campaigns/{campaign_id}", "zh-CN")
        assert "没有同意接收营销消息，因此没有发送。" in chinese

    async def test_the_live_part_stops_asking_when_all_is_over(self, push: Served) -> None:
        campaign_id = await a_running_one(push)
        await log_in(push, push.reader)
        path = f"/campaigns/{campaign_id}/live"
        assert "hx-trigger" in await page(push, path)
        await push.ground.database.transaction(
            lambda s: s.execute(update(repository.LEDGER).values(state="sent"))
        )
        await push.plan(4)
        push.clock.advance(3.0)
        text = await page(push, path)
        assert "hx-trigger" not in text
        assert "done" in text

    async def test_shows_what_is_said_in_each_language(self, push: Served) -> None:
        campaign_id = await a_running_one(push)
        await log_in(push, push.reader)
        text = await page(push, f"/campaigns/{campaign_id}")
        assert "Hello friend" in text
        assert "你好，friend" in text
        assert 'sandbox="" srcdoc="&lt;p&gt;Dear friend' in text

    async def test_the_segment_is_named_as_people_know_it(self, push: Served) -> None:
        campaign_id = await a_running_one(push)
        await log_in(push, push.reader)
        assert "Readers &lt;of&gt; ours" in await page(push, f"/campaigns/{campaign_id}")
        push.profile.status = 503
        assert str(push.profile.segment) in await page(push, f"/campaigns/{campaign_id}")

    async def test_an_unknown_one(self, push: Served) -> None:
        await log_in(push, push.reader)
        answer = await push.client.get("/campaigns/01890000-0000-7000-8000-000000000000")
        assert answer.status_code == 404


class TestButtons:
    async def test_an_admin_pauses_and_resumes(self, push: Served) -> None:
        campaign_id = await a_running_one(push)
        await log_in(push, push.admin)
        assert f'action="/campaigns/{campaign_id}/pause"' in await page(
            push, f"/campaigns/{campaign_id}"
        )
        answer = await push.client.post(
            f"/campaigns/{campaign_id}/pause", headers={"origin": "http://testserver"}
        )
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            f"/campaigns/{campaign_id}",
        )
        text = await page(push, f"/campaigns/{campaign_id}")
        assert f'action="/campaigns/{campaign_id}/resume"' in text
        assert "/pause" not in text
        assert "Li Na" in text

    async def test_another_site_can_not_press_them(self, push: Served) -> None:
        campaign_id = await a_running_one(push)
        await log_in(push, push.admin)
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {}):
            answer = await push.client.post(f"/campaigns/{campaign_id}/cancel", headers=headers)
            assert answer.status_code == 403
        assert (await push.desk.get(UUID(campaign_id)))[0].state == "running"

    async def test_a_reader_has_none(self, push: Served) -> None:
        campaign_id = await a_running_one(push)
        await log_in(push, push.reader)
        assert '<form method="post" action="/campaigns' not in await page(
            push, f"/campaigns/{campaign_id}"
        )
        answer = await push.client.post(
            f"/campaigns/{campaign_id}/cancel", headers={"origin": "http://testserver"}
        )
        assert answer.status_code == 403

    async def test_what_is_not_allowed_is_refused(self, push: Served) -> None:
        campaign_id = await a_running_one(push)
        await log_in(push, push.admin)
        answer = await push.client.post(
            f"/campaigns/{campaign_id}/schedule", headers={"origin": "http://testserver"}
        )
        assert answer.status_code == 409


class TestProgress:
    def test_every_state_has_a_tone_and_a_sentence_in_both_languages(self) -> None:
        assert set(TONES) == {state.value for state in State}
        for state in State:
            chinese, english = explained(state.value, None)
            assert re.search("[一-鿿]", chinese)
            assert re.fullmatch("[ -~]+", english)

    def test_every_member_is_in_exactly_one_part(self) -> None:
        progress = progress_of(
            [
                Count("sent", None, 5),
                Count("dropped", "no_consent", 3),
                Count("unknown", "ambiguous", 1),
            ],
            {"no_contact": 1},
        )
        assert progress.tones == {"good": 5, "wait": 0, "left": 4, "bad": 1}
        assert (progress.total, progress.settled, progress.share("good")) == (10, 10, 50.0)
        assert sum(line.count for line in progress.lines) == 10
