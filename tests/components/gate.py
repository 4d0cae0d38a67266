"""Which tests need which component, what happens without it, and what is said about it at the end."""

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.components import browser, kafka, postgres, prometheus
from tests.components.absence import PHRASE, Missing, in_ci, refuse

FINDERS: dict[str, Callable[[], Missing | None]] = {
    "postgres": postgres.missing,
    "kafka": kafka.missing,
    "prometheus": prometheus.missing,
    "browser": browser.missing,
}

# A test that asks for the fixture needs the component; the marker follows by itself.
FIXTURES = {
    "postgres_server": "postgres",
    "kafka": "kafka",
    "start_prometheus": "prometheus",
    "promtool": "prometheus",
    "browser": "browser",
}

KEPT_SETTINGS = "BAITWELL_TEST_"


def pytest_configure(config: pytest.Config) -> None:
    for name in FINDERS:
        config.addinivalue_line("markers", f"needs_{name}: runs only where {name} can be had")
    # A developer's own settings must not decide how tests come out.
    for name in [n for n in os.environ if n.startswith("BAITWELL_")]:
        if not name.startswith(KEPT_SETTINGS):
            del os.environ[name]
    if not hasattr(config, "workerinput"):
        _open_run(config)


def _open_run(config: pytest.Config) -> None:
    """One folder for what all workers share; they inherit its name."""
    root = tempfile.mkdtemp(prefix="baitwell-tests-")
    os.environ["BAITWELL_TEST_ROOT"] = root
    os.environ["BAITWELL_TEST_OWNER"] = str(os.getpid())

    def close() -> None:
        kafka.stop_shared(Path(root))
        shutil.rmtree(root, ignore_errors=True)

    config.add_cleanup(close)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in FIXTURES:
                item.add_marker(f"needs_{FIXTURES[fixture]}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, find in FINDERS.items():
        if item.get_closest_marker(f"needs_{name}") and (missing := find()):
            refuse(missing)


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if in_ci() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"nothing may be left out with CI=true, but: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    yield
    _last_words(terminalreporter)


def _last_words(terminal: pytest.TerminalReporter) -> None:
    """What did not run, and what would enable it."""
    absent: Counter[str] = Counter()
    for report in terminal.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if PHRASE in reason:
            absent[re.sub(r"^Skipped: ", "", reason)] += 1
    if not absent:
        return
    terminal.write_sep("-", "suites that did not run")
    for reason, count in sorted(absent.items()):
        terminal.write_line(f"{count} tests: {reason}", yellow=True)
