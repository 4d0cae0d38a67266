"""An operator logs in and looks at every page; the camera keeps what they see."""

from typing import Any

from playwright.async_api import Page

from tests.e2e.chapters.pushing import FIRST
from tests.e2e.scene import Scene


async def before_logging_in(scene: Scene) -> None:
    """The start page says how the system is, and no figures; other pages ask for the key."""
    page = await scene.visitor()
    await page.goto(scene.system.url + "/")
    await scene.camera.shoot(page, "start-for-anyone")
    assert FIRST not in await page.content()
    for path in ("/people", "/campaigns"):
        await page.goto(scene.system.url + path)
        assert "/login" in page.url, page.url
        assert "people.example" not in await page.content()
    await page.locator("input[name=key]").fill("bw_wrong")
    await page.locator("main button").click()
    await page.get_by_role("alert").wait_for()
    await scene.camera.shoot(page, "login-wrong-key")


async def log_in(scene: Scene, **more: Any) -> Page:
    """A browser with a session."""
    page: Page = await scene.visitor(**more)
    await page.goto(f"{scene.system.url}/login")
    if not more:
        await scene.camera.shoot(page, "login")
    await page.locator("input[name=key]").fill(scene.system.admin_key)
    await page.locator("main button").click()
    await page.wait_for_url(scene.system.url + "/")
    return page


async def look_around(scene: Scene) -> None:
    """Start page with the funnel, people, a person, campaigns, a campaign; in both languages."""
    page = await log_in(scene)
    await page.wait_for_load_state("networkidle")
    await scene.camera.shoot(page, "start")
    ann = scene.people["ann"]
    await page.goto(f"{scene.system.url}/people")
    await page.locator("main").get_by_text(ann.email).first.wait_for()
    await scene.camera.shoot(page, "people")
    await page.goto(f"{scene.system.url}/people/{ann.profile_id}")
    await page.locator("main").get_by_text(ann.email).first.wait_for()
    await scene.camera.shoot(page, "person")
    await page.goto(f"{scene.system.url}/campaigns")
    await page.locator("main").get_by_text(FIRST).first.wait_for()
    await scene.camera.shoot(page, "campaigns")
    await page.goto(f"{scene.system.url}/campaigns/{scene.campaigns[0]['id']}")
    await page.locator("main").get_by_text(FIRST).first.wait_for()
    await scene.camera.shoot(page, "campaign")
    english = await log_in(scene, locale="en-GB")
    for name, path in (
        ("start", "/"),
        ("people", "/people"),
        ("person", f"/people/{ann.profile_id}"),
        ("campaigns", "/campaigns"),
        ("campaign", f"/campaigns/{scene.campaigns[0]['id']}"),
    ):
        await english.goto(scene.system.url + path)
        await english.wait_for_load_state("networkidle")
        await scene.camera.shoot(english, f"{name}-english")


async def export_people(scene: Scene) -> None:
    """The list as a file, for a spreadsheet."""
    page = await log_in(scene, javascript=False)
    await page.goto(f"{scene.system.url}/people")
    link = page.locator("a[href*='csv']").first
    answer = await page.context.request.get(f"{scene.system.url}{await link.get_attribute('href')}")
    assert answer.status == 200
    body = await answer.text()
    for person in scene.people.values():
        assert person.email in body.lower()
