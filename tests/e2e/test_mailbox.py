"""Without a mail server: every message stays in the local mailbox, and looks as the person would see it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.components.browser import Pages
from tests.components.waiting import PATIENCE, wait_until
from tests.e2e.camera import Camera
from tests.e2e.systems import Embedded

LONG = "the.very.first.of.our.visitors@people-of-this-town.example"
SHORTENED = "[...document.querySelectorAll('.who *')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth).map(e => e.textContent)"
"""What of a person in the list is cut off."""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Embedded]:
    """An installation just made, as `make run` makes it."""
    system = Embedded(tmp_path)
    try:
        system.start()
        yield system
    finally:
        system.kill()


async def test_a_first_visit_ends_in_the_mailbox(fresh: Embedded, pages: Pages) -> None:
    """What the README promises: post, mail in the local mailbox, link, resource."""
    camera = Camera("mailbox")
    page = await pages.open()
    await page.goto(f"{fresh.url}/b/welcome")
    await camera.shoot(page, "welcome")
    await page.locator("input[name=email]").fill(LONG)
    await page.locator("main button").first.click()
    await page.wait_for_url("**/thanks?**")
    with httpx.Client(
        base_url=fresh.url, headers=fresh.admin, trust_env=False, timeout=PATIENCE
    ) as admin:
        wait_until(lambda: admin.get("/mailbox/messages").json()["items"], "the mail")
    await page.goto(f"{fresh.url}/login?next=/mailbox")
    await page.locator("input[name=key]").fill(fresh.admin_key)
    await page.locator("main button").click()
    await page.wait_for_url(f"{fresh.url}/mailbox")
    await camera.shoot(page, "mailbox")
    await page.locator("main").get_by_role("link").first.click()
    frame = page.frame_locator("iframe")
    await frame.get_by_role("link").first.wait_for(timeout=60_000)
    await camera.shoot(page, "mail")
    async with page.context.expect_page() as opening:
        await frame.get_by_role("link").first.click()
    resource = await opening.value
    await resource.get_by_role("button").click()
    await resource.get_by_text("WELCOME-2026").wait_for()
    await camera.shoot(resource, "opened")
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(f"{fresh.url}/people?lang=en")
    await page.get_by_text("Verified").wait_for()
    assert await page.evaluate(SHORTENED) == []
    await camera.shoot(page, "people")
