"""Logs as JSON lines on standard error, each with the correlation id of what it belongs to.

Nothing personal and nothing secret is ever given to a logger; paths of token pages are logged by route.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from services.shared import correlation


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        correlation_id = correlation.current()
        if correlation_id:
            line["correlation_id"] = correlation_id
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = type(error).__name__
            line["at"] = _frames(error)
        text = json.dumps(line, ensure_ascii=False)
        # half a letter of UTF-16 becomes its JSON escape, so that the line can always be written
        return text.encode("utf-8", "backslashreplace").decode()


def _frames(error: BaseException) -> list[str]:
    """Where it happened, without the text of the error, which may quote data."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/services/', 1)[-1]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames[-8:]


def set_up_logs(level: str = "INFO") -> None:
    """Send all logging to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("aiokafka", "httpx", "httpcore", "uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel("WARNING")
