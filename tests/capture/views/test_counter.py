"""How often a form was drawn."""

from collections import Counter
from pathlib import Path

from services.shared.errors import DatabaseUnavailable
from tests.capture.system import CaptureSystem, capture_system

GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


async def sums(capture: CaptureSystem) -> dict[str, tuple[int, int]]:
    """People and machines by bait, over everything said."""
    people: Counter[str] = Counter()
    machines: Counter[str] = Counter()
    for said in await capture.said("bait.displayed"):
        assert said["key"] == said["data"]["bait_id"]
        people[said["data"]["bait_slug"]] += said["data"]["displays"]
        machines[said["data"]["bait_slug"]] += said["data"]["machine"]
    return {slug: (people[slug], machines[slug]) for slug in people}


class TestViewCounter:
    async def test_pages_and_forms_drawn_are_summed(self, capture: CaptureSystem) -> None:
        await capture.bait()
        for _ in range(3):
            await capture.client.get("/b/guide")
        await capture.client.get("/v1/baits/guide/form")
        await capture.client.get("/b/welcome")
        await capture.client.get("/b/guide", headers={"user-agent": GOOGLEBOT})
        await capture.client.get("/b/guide", headers={"user-agent": ""})
        await capture.service.views.flush()
        assert await sums(capture) == {"guide": (4, 2), "welcome": (1, 0)}

    async def test_what_draws_nothing_is_not_counted(self, capture: CaptureSystem) -> None:
        await capture.bait()
        await capture.client.head("/b/guide")
        await capture.client.get("/b/guide", headers={"sec-purpose": "prefetch"})
        await capture.client.post("/b/guide", data={"email": "nobody"})
        await capture.client.get("/b/nothing")
        await capture.service.views.flush()
        assert await sums(capture) == {}

    async def test_nothing_new_says_nothing(self, capture: CaptureSystem) -> None:
        await capture.client.get("/b/welcome")
        await capture.service.views.flush()
        await capture.service.views.flush()
        assert len(await capture.said("bait.displayed")) == 1

    async def test_with_the_database_away_it_is_said_later(self, capture: CaptureSystem) -> None:
        await capture.client.get("/b/welcome")
        database = capture.ground.database
        working = database.transaction

        async def away(work: object) -> object:
            raise DatabaseUnavailable

        database.transaction = away  # type: ignore[method-assign, assignment]  # an outage
        await capture.service.views.flush()
        database.transaction = working  # type: ignore[method-assign]
        await capture.client.get("/b/welcome")
        await capture.service.views.flush()
        assert await sums(capture) == {"welcome": (2, 0)}

    async def test_what_was_counted_last_is_said_at_the_end(self, tmp_path: Path) -> None:
        async with capture_system(tmp_path) as capture:
            await capture.client.get("/b/welcome")
        async with capture_system(tmp_path) as capture:
            assert await sums(capture) == {"welcome": (1, 0)}
