"""A retraining's process (``train.retrain.job``): started, listened to, and ended with all that it has started."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from engine.contract.lines import lines_of
from train.retrain.job import Task

log = logging.getLogger("train.retrain.process")

JOB = ("-m", "train.retrain.job")
"""What Python runs, with the task after it."""
GRACE_SECONDS = 12.0
"""What a job may take to write its checkpoint when it is asked to stop."""
LONGEST_EVENT = 1 << 20

Verdict = Literal["go on", "stop", "kill"]


async def run_job(
    task: Task,
    hear: Callable[[Mapping[str, Any]], Awaitable[None]],
    verdict: Callable[[], Awaitable[Verdict]],
    look_every: float,
) -> dict[str, Any]:
    """Its last event: "done" or "failed", the latter with the failure "died" where it ended without a word.

    ``hear`` is called with every other event; ``verdict`` is asked every ``look_every`` seconds.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *JOB,
        task.to_json(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in the terminal is for the trainer
    )
    watching = asyncio.create_task(_watch(process, verdict, look_every))
    last: dict[str, Any] | None = None
    try:
        assert process.stdout is not None
        async for line in lines_of(process.stdout, LONGEST_EVENT):
            event = _event(line)
            if event is None:
                log.warning("passed over %d bytes of a job that are no event", len(line))
            elif event["event"] in ("done", "failed"):
                last = event
            else:
                await hear(event)
        code = await process.wait()
    finally:
        watching.cancel()
        _kill(process)
    if last is not None:
        return last
    detail = f"signal {-code}" if code < 0 else f"exit code {code}"
    return {"event": "failed", "failure": "died", "detail": detail}


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


async def _watch(
    process: asyncio.subprocess.Process, verdict: Callable[[], Awaitable[Verdict]], look_every: float
) -> None:
    clock = asyncio.get_running_loop().time
    asked: float | None = None
    while process.returncode is None:
        found = await verdict()
        if found == "kill" or (asked is not None and clock() - asked > GRACE_SECONDS):
            _kill(process)
        elif found == "stop" and asked is None:
            asked = clock()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await asyncio.sleep(look_every)


def _kill(process: asyncio.subprocess.Process) -> None:
    """The job and whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
