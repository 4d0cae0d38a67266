"""P11: `/metrics` and the start page at a million people, ten million events and 200 campaigns.

Each answer is one that had to be worked out: the process keeps what it read for seconds, so that is waited for.
"""

import http.cookiejar
import time
import urllib.parse
import urllib.request

from bench.load import percentile
from bench.made.whole import large
from bench.report import Figure, Report
from bench.system import Embedded, running

_SCRAPES, _SCRAPE_PAUSE = 6, 4.2
_LOOKS, _LOOK_PAUSE = 20, 1.6
_OTHERS = (
    "/v1/funnel?by=bait",
    "/v1/funnel?by=campaign",
    "/v1/funnel?by=day",
    "/campaigns",
    "/people",
    "/people?tag=group-3",
    "/people?tag=bench&bait=bench-2",
    "/v1/profiles",
)
"""Reports and pages beside the start page."""


def p11(report: Report, runs: int) -> None:
    """The exposition, then the page, in one system."""
    made = large()
    runs = min(runs, 3)
    scrapes: list[float] = []
    looks: list[float] = []
    series = 0
    with running(made.data, made.key) as system:
        system.quiet()
        for _ in range(runs):
            seconds, series = _scraped(system)
            scrapes.append(seconds * 1000)
        browser = logged_in(system)
        _look(browser, f"{system.url}/")  # compiles the templates
        for _ in range(runs):
            found = [_looked(browser, system, number) for number in range(_LOOKS)]
            looks.append(percentile(found, 0.95) * 1000)
        others = {path: _slowest(browser, system.url + path) for path in _OTHERS}
    note = f"the slowest of {_SCRAPES} scrapes, nothing of it kept from before"
    report.add(Figure("P11.metrics", "ms", scrapes, note=note))
    report.add(Figure("P11.series", "", [float(series)], note="lines of it that are samples"))
    note = f"p95 of {_LOOKS}, {made.people:,} people, {made.events:,} events, figures read anew"
    report.add(Figure("P11.page", "ms", looks, note=note))
    worst = max(others, key=lambda path: others[path])
    note = f"the slowest of {len(_OTHERS)} other pages and reports: {worst}"
    report.add(Figure("P11.others", "ms", [others[worst] * 1000], note=note))


def logged_in(system: Embedded) -> urllib.request.OpenerDirector:
    """A browser with a session."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    form = urllib.parse.urlencode({"key": system.key, "next": "/"}).encode()
    with browser.open(f"{system.url}/login", form, timeout=30) as answer:
        answer.read()
    if not len(jar):
        raise RuntimeError("nobody is logged in")
    return browser


def _scraped(system: Embedded) -> tuple[float, int]:
    """Seconds of the slowest scrape, and how many samples there were."""
    slowest, series = 0.0, 0
    for _ in range(_SCRAPES):
        time.sleep(_SCRAPE_PAUSE)
        begun = time.perf_counter()
        with urllib.request.urlopen(f"{system.url}/metrics", timeout=30) as answer:
            lines = answer.read().splitlines()
        slowest = max(slowest, time.perf_counter() - begun)
        series = sum(bool(line) and not line.startswith(b"#") for line in lines)
    return slowest, series


def _looked(browser: urllib.request.OpenerDirector, system: Embedded, number: int) -> float:
    """Every second time as a page that is open asks again."""
    time.sleep(_LOOK_PAUSE)
    begun = time.perf_counter()
    text = _look(browser, f"{system.url}/?part=live" if number % 2 else f"{system.url}/")
    seconds = time.perf_counter() - begun
    if b'class="card"' not in text:
        raise RuntimeError("the start page shows no figures")
    return seconds


def _slowest(browser: urllib.request.OpenerDirector, url: str) -> float:
    """Seconds of the slowest of five."""
    found = []
    for _ in range(5):
        begun = time.perf_counter()
        _look(browser, url)
        found.append(time.perf_counter() - begun)
    return max(found)


def _look(browser: urllib.request.OpenerDirector, url: str) -> bytes:
    with browser.open(url, timeout=60) as answer:
        text: bytes = answer.read()
        return text
