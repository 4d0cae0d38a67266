"""Screenshots of pages as people see them, kept to be looked at: at a desk and on a phone."""

from pathlib import Path

from playwright.async_api import Page

from tests.components.browser import SCREENSHOTS

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}


class Camera:
    """Takes pictures into `build/screenshots/<folder>/`, numbered in the order of the story."""

    def __init__(self, folder: str) -> None:
        self._folder = SCREENSHOTS / folder
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.glob("*.png"):
            old.unlink()
        self._count = 0

    async def shoot(self, page: Page, name: str) -> list[Path]:
        """A page in both sizes, whole. Fails when it is wider than a phone."""
        self._count += 1
        before = page.viewport_size
        taken = []
        for device, size in SIZES.items():
            await page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict of the library's
            width, height = await _content_size(page)
            assert width <= size["width"], f"{name} is {width} px wide on a {device}"
            # a frame below the edge of the screen is not drawn: the whole page has to be on it
            tall = {"width": size["width"], "height": max(height, size["height"])}
            await page.set_viewport_size(tall)  # type: ignore[arg-type]  # a TypedDict of the library's
            path = self._folder / f"{self._count:02}-{name}-{device}.png"
            await page.screenshot(path=path, full_page=True)
            taken.append(path)
        if before is not None:
            await page.set_viewport_size(before)
        return taken


async def _content_size(page: Page) -> tuple[int, int]:
    """Measured from outside: it also works where the page's own scripts are switched off."""
    session = await page.context.new_cdp_session(page)
    metrics = await session.send("Page.getLayoutMetrics")
    await session.detach()
    size = metrics["cssContentSize"]
    return int(size["width"]), int(size["height"])
