"""Logs are JSON lines that tie together what belongs together and quote nothing."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.shared import correlation
from services.shared.logs import JsonLines, set_up_logs


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("services.test")
    log.addHandler(handler)
    log.propagate = False
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    log.removeHandler(handler)
    log.propagate = True


LOG = logging.getLogger("services.test")


def test_a_line_is_one_object(lines: Callable[[], list[dict[str, Any]]]) -> None:
    LOG.warning("a word with\na break and 汉字: %d", 7)
    (line,) = lines()
    assert line["message"] == "a word with\na break and 汉字: 7"
    assert line["level"] == "warning"
    assert line["logger"] == "services.test"
    assert line["time"].endswith("+00:00")
    assert "correlation_id" not in line


def test_a_line_names_what_it_belongs_to(lines: Callable[[], list[dict[str, Any]]]) -> None:
    with correlation.correlated("request-1"):
        LOG.warning("inside")
    LOG.warning("outside")
    inside, outside = lines()
    assert inside["correlation_id"] == "request-1"
    assert "correlation_id" not in outside


def test_an_error_is_told_by_its_kind_and_place_never_by_its_text(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    try:
        raise ValueError("li.na@example.com is no number")
    except ValueError:
        LOG.exception("it failed")
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert line["at"][-1].split(":")[0].endswith("test_logs.py")
    assert "li.na" not in json.dumps(line)


def test_a_value_that_json_does_not_know_breaks_nothing() -> None:
    # formatted by hand: the test runner itself can't carry half a letter from one process to another
    record = logging.LogRecord("t", logging.WARNING, "", 1, "half a letter: %s", ("\ud83d",), None)
    line = JsonLines().format(record)
    line.encode()
    assert json.loads(line)["level"] == "warning"


def test_everything_goes_to_standard_error_as_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        set_up_logs()
        logging.getLogger("somebody.else").warning("heard")
        logging.getLogger("uvicorn.access").info("GET /u/secret-token")
        captured = capsys.readouterr()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name in ("aiokafka", "httpx", "httpcore", "uvicorn.access", "alembic"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    assert captured.out == ""
    assert [json.loads(line)["message"] for line in captured.err.splitlines()] == ["heard"]
