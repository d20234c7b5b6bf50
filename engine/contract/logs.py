"""Logging for all programs: lines of text for people or of JSON for log collectors."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

# These log whole URLs at INFO, and a Bot API URL contains the token; `telegram` logs messages at DEBUG.
_QUIETED = ("httpx", "httpcore", "aiohttp.access", "telegram")


def origin(error: BaseException) -> str:
    """An error's type and where it was raised, without its message, which may contain what users wrote."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    path = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {path or 'an unknown place'}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if isinstance(job := getattr(record, "job", None), str):
            line["job"] = job
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        job = getattr(record, "job", None)
        return f"{line} [{job}]" if isinstance(job, str) and not record.exc_info else line


def set_up(level: str, form: Literal["text", "json"]) -> None:
    """Log to stderr from now on. Pass a job's ID as ``extra={"job": id}``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIETED:
        logging.getLogger(name).setLevel(logging.WARNING)
