"""A real browser (Chromium) that reaches this machine only, with Chinese fonts."""

import functools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.components.absence import Missing, refuse
from tests.components.waiting import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
ARGUMENTS = (
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
)
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"


@functools.cache
def program() -> str | None:
    """The browser that `BAITWELL_TEST_CHROMIUM` names, else one found on the machine."""
    for name in (os.environ.get("BAITWELL_TEST_CHROMIUM", ""), *NAMES, *PLACES):
        found = shutil.which(name) if name else None
        if found:
            return found
    return None


def _has_chinese_font() -> bool:
    lister = shutil.which("fc-list")
    if lister is None:  # not the way of this system; it has fonts of its own
        return True
    listed = subprocess.run([lister, ":lang=zh-cn"], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip())


@functools.cache
def missing() -> Missing | None:
    """Why no browser can be had, or None."""
    if program() is None:
        return Missing(
            "Browser", "no Chromium", "apt install chromium, or BAITWELL_TEST_CHROMIUM=…"
        )
    if not _has_chinese_font():
        return Missing("Browser", "no Chinese font", "apt install fonts-wqy-zenhei")
    return None


def launch_options() -> dict[str, Any]:
    """Arguments of playwright's `chromium.launch`, for those who start one themselves."""
    # Chromium's sandbox refuses to run as root.
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    return {"executable_path": program(), "args": [*ARGUMENTS, *sandbox]}


class Pages:
    """Opens pages that visitors of different kinds would see; all are closed with the browser."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    async def open(
        self,
        *,
        device: dict[str, Any] = DESKTOP,
        locale: str = "zh-CN",
        javascript: bool = True,
        **more: Any,
    ) -> Page:
        """A page in a context (cookies, cache) of its own."""
        context = await self._browser.new_context(
            **device, locale=locale, java_script_enabled=javascript, **more
        )
        context.set_default_timeout(PATIENCE * 1000)
        self._contexts.append(context)
        return await context.new_page()

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser for this test alone."""
    if absent := missing():
        refuse(absent)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(**launch_options())
        try:
            yield running
        finally:
            await running.close()


@pytest.fixture
async def pages(browser: Browser) -> AsyncIterator[Pages]:
    """Several visitors."""
    opened = Pages(browser)
    yield opened
    await opened.close()


@pytest.fixture
async def page(pages: Pages) -> Page:
    """One visitor at a desktop, in Chinese, with JavaScript."""
    return await pages.open()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where screenshots are kept for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
