"""The lines of the log, as text and as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from engine.contract.logs import origin, set_up

log = logging.getLogger("a.logger")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_json_line_carries_the_job_and_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("INFO", "json")
    log.info("写成\n了", extra={"job": "1-0"})
    [line] = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["message"], found["job"], found["level"]) == ("写成\n了", "1-0", "INFO")


def test_a_text_line_carries_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("INFO", "text")
    log.info("done", extra={"job": "1-0"})
    assert capsys.readouterr().err.rstrip().endswith("a.logger: done [1-0]")


def test_addresses_that_hold_the_token_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("DEBUG", "text")
    for name in ("httpx", "httpcore.http11"):
        logging.getLogger(name).info("POST https://example.org/bot123:secret/getMe")
    assert capsys.readouterr().err == ""


def test_the_telegram_librarys_own_lines_which_hold_messages_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("DEBUG", "text")
    logging.getLogger("telegram.Bot").debug("Calling Bot API endpoint `sendMessage` with parameters `{'text': '春'}`")
    assert capsys.readouterr().err == ""


def test_an_error_is_named_by_its_type_and_place_without_its_words() -> None:
    try:
        int("what somebody wrote")
    except ValueError as error:
        said = origin(error)
    assert said.startswith("ValueError at test_logs.py:")
    assert "wrote" not in said
