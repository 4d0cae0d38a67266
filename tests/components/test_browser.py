"""The provider of a browser."""

import pytest
from playwright.async_api import Error, Page

from tests.components.browser import PHONE, Pages


async def test_chinese_characters_are_drawn_and_differ(page: Page) -> None:
    """Without a font every character is the same empty box."""
    pictures = []
    for character in "汉字":
        await page.set_content(f"<p style='font-size:60px'>{character}</p>")
        pictures.append(await page.screenshot())
    assert pictures[0] != pictures[1]


async def test_a_page_without_javascript_runs_none(pages: Pages) -> None:
    page = await pages.open(device=PHONE, javascript=False)
    await page.set_content(
        "<p id=a>before</p><script>document.querySelector('#a').textContent='after'</script>"
    )
    assert await page.locator("#a").text_content() == "before"


async def test_it_does_not_leave_this_machine(page: Page) -> None:
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        await page.goto("http://shop.example/")
