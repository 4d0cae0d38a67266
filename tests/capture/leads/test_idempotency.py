"""R13: one lead per Idempotency-Key, the same answer for all who repeat it."""

import asyncio
from pathlib import Path

import pytest

from services.capture.leads.submission import Once, Submission
from services.shared.clock import VirtualClock
from services.shared.errors import DatabaseUnavailable, InProgress
from tests.capture.system import CaptureSystem, MovedClock, capture_system

KEY = {"idempotency-key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}


class TestTwins:
    async def test_200_identical_posts_at_once_are_one_lead(self, capture: CaptureSystem) -> None:
        await capture.bait()
        answers = await asyncio.gather(*(capture.post(headers=KEY) for _ in range(200)))
        assert {(a.status_code, a.content) for a in answers} == {(202, answers[0].content)}
        assert len(await capture.leads()) == 1
        assert len(await capture.said("lead.submitted")) == 1

    async def test_another_body_is_refused_at_once_and_later(self, capture: CaptureSystem) -> None:
        await capture.bait()
        first, second = await asyncio.gather(
            capture.post(headers=KEY),
            capture.post(headers=KEY, contact={"email": "other@shop.example"}),
        )
        later = await capture.post(headers=KEY, contact={"email": "third@shop.example"})
        assert first.status_code == 202
        for refused in (second, later):
            assert refused.status_code == 422
            assert refused.json()["type"] == "urn:baitwell:problem:idempotency-key-reused"
        assert len(await capture.leads()) == 1

    async def test_after_a_restart_the_answer_is_the_same(self, tmp_path: Path) -> None:
        async with capture_system(tmp_path) as capture:
            await capture.bait()
            before = await capture.post(headers=KEY)
        async with capture_system(tmp_path) as capture:
            after = await capture.post(headers=KEY)
            assert after.content == before.content
            assert len(await capture.leads()) == 1

    async def test_a_bait_that_ended_or_changed_still_answers_the_repeat(
        self, capture: CaptureSystem
    ) -> None:
        await capture.bait()
        before = await capture.post(headers=KEY)
        await capture.change("guide", fields=[{"name": "job", "label": "Job", "required": True}])
        assert (await capture.post(headers=KEY)).content == before.content
        await capture.client.post(
            "/v1/baits/guide/retire", headers={**capture.admin, "if-match": "*"}
        )
        assert (await capture.post(headers=KEY)).content == before.content
        other = await capture.post(headers=KEY, contact={"email": "x@shop.example"})
        assert other.status_code == 422

    async def test_keys_belong_to_their_bait(self, capture: CaptureSystem) -> None:
        await capture.bait()
        await capture.bait("other")
        one = await capture.post(headers=KEY)
        two = await capture.post("other", headers=KEY)
        assert one.json()["lead_id"] != two.json()["lead_id"]

    async def test_what_was_refused_may_come_again_corrected(self, capture: CaptureSystem) -> None:
        await capture.bait()
        wrong = await capture.post(headers=KEY, contact={"email": "nobody"})
        right = await capture.post(headers=KEY)
        assert (wrong.status_code, right.status_code) == (422, 202)

    @pytest.mark.parametrize("key", [b"", b'""', b"a b", b"x" * 201, b"schl\xfcssel"])
    async def test_a_key_that_is_none_is_refused(self, capture: CaptureSystem, key: bytes) -> None:
        await capture.bait()
        response = await capture.client.post(
            "/v1/baits/guide/leads",
            json={"contact": {"email": "a@shop.example"}},
            headers=[(b"idempotency-key", key)],
        )
        assert response.status_code == 400

    async def test_quotes_make_no_other_key(self, capture: CaptureSystem) -> None:
        await capture.bait()
        quoted = await capture.post(headers={"idempotency-key": '"abc"'})
        bare = await capture.post(headers={"idempotency-key": "abc"})
        assert quoted.content == bare.content


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


class TestWaiting:
    async def test_a_twin_waits_2_s_and_then_hears_that_it_is_in_progress(
        self, tmp_path: Path
    ) -> None:
        clock = VirtualClock()
        async with capture_system(tmp_path, clock=clock) as capture:
            await capture.bait()
            bait = await capture.service.shelf.find("guide")
            once = Submission(way="api", contacts={"email": "a@b.example"}, once=Once("k", "h"))
            desk, database = capture.service.desk, capture.ground.database
            working, slow = database.transaction, asyncio.Event()

            async def late(work: object) -> object:
                await slow.wait()
                return await working(work)  # type: ignore[arg-type]  # any work

            database.transaction = late  # type: ignore[method-assign, assignment]  # a slow disk
            first = asyncio.create_task(desk.accept(bait, once))
            await turns()
            twin = asyncio.create_task(desk.accept(bait, once))
            await turns()
            clock.advance(1.9)
            await turns()
            assert not twin.done()
            clock.advance(0.2)
            with pytest.raises(InProgress) as refused:
                await twin
            assert refused.value.retry_after == 1
            slow.set()
            accepted = await first
            database.transaction = working  # type: ignore[method-assign]
            again = asyncio.create_task(desk.accept(bait, once))
            await turns()
            clock.advance(0.1)
            assert await again == accepted

    async def test_a_failure_is_everybodys_and_leaves_nothing_running(
        self, capture: CaptureSystem
    ) -> None:
        await capture.bait()
        database = capture.ground.database
        working = database.transaction

        async def away(work: object) -> object:
            raise DatabaseUnavailable

        database.transaction = away  # type: ignore[method-assign, assignment]  # the disk is full
        failed = await asyncio.gather(*(capture.post(headers=KEY) for _ in range(20)))
        assert {answer.status_code for answer in failed} == {503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in failed)
        database.transaction = working  # type: ignore[method-assign]
        assert (await capture.post(headers=KEY)).status_code == 202


class TestTidy:
    async def test_answers_are_kept_for_seven_days(self, tmp_path: Path) -> None:
        clock = MovedClock()
        async with capture_system(tmp_path, clock=clock) as capture:
            await capture.bait()
            first = await capture.post(headers=KEY)
            clock.days = 6.9
            await capture.service.tidy.step()
            assert (await capture.post(headers=KEY)).content == first.content
            clock.days = 7.1
            await capture.service.tidy.step()
            assert (await capture.post(headers=KEY)).content != first.content
