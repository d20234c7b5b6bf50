"""The failure codes of a retraining, and the lock of its folder."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from engine.contract.queue.training import Failure
from engine.model.folder import ModelFolderError
from engine.model.paddle_runtime import PaddleMissingError
from train.data.source import CorpusError
from train.fit.run_folder import RunError
from train.retrain import process
from train.retrain.context import run_name, version_name
from train.retrain.job import KilledError, RetrainTask, SmallCorpusError, failure_of, only_job_in, retrain_config


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "disk"),
        (OSError(errno.EACCES, "Permission denied"), "other"),
        (CorpusError("npm is not installed"), "npm"),
        (CorpusError("no corpus"), "corpus"),
        (SmallCorpusError(), "small"),
        (ModelFolderError("lacks weights"), "model"),
        (PaddleMissingError("install"), "paddle"),
        (KilledError("x"), "died"),
        (RunError("x"), "other"),
        (KeyError("x"), "other"),
    ],
)
def test_a_failure_has_a_name_that_the_bot_has_words_for(error: Exception, failure: Failure) -> None:
    assert failure_of(error)[0] == failure


def test_what_continues_is_trained_more_gently_than_what_begins() -> None:
    assert retrain_config(continues=True).lr < retrain_config(continues=False).lr


def test_a_version_is_named_after_the_moment_of_its_order() -> None:
    assert version_name("1795473308015-0") == "r20261123-223508"
    assert Path(run_name("1795473308015-0")).name == "retrain-1795473308015-0"


def test_a_second_job_says_that_it_waits_and_begins_when_the_first_has_ended(tmp_path: Path) -> None:
    with ExitStack() as first:
        first.enter_context(only_job_in(tmp_path, lambda: pytest.fail("nobody to wait for")))
        told: list[bool] = []

        def waiting() -> None:
            told.append(True)
            first.close()

        with only_job_in(tmp_path, waiting):
            assert told == [True]


async def test_lines_of_a_job_that_are_no_events_are_passed_over_however_long_or_deep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = """
import json, sys
sys.stdout.buffer.write(b"x" * 300_000 + b"\\n" + b"[" * 200_000 + b"\\n" + b"\\xff\\n[]\\n")
print(json.dumps({"event": "waiting"}))
print(json.dumps({"event": "failed", "failure": "other", "detail": ""}))
"""
    monkeypatch.setattr(process, "JOB", ("-c", code))
    heard: list[str] = []

    async def hear(event: Mapping[str, Any]) -> None:
        heard.append(event["event"])

    async def go_on() -> process.JobAction:
        return "go on"

    task = RetrainTask("home", "run", "version", "base", 1.0, "continue", "", "cpu", 1, 1, 1.0)
    last = await process.run_job(task, hear, go_on, 0.2)
    assert (heard, last["failure"]) == (["waiting"], "other")
