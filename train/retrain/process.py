"""Runs ``train.retrain.job`` in a child process: reads its events and ends it with all its children."""

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

from engine.contract.child_process import read_lines
from engine.contract.codec import encode_text
from train.retrain.job import RetrainTask

log = logging.getLogger("train.retrain.process")

JOB = ("-m", "train.retrain.job")
"""Arguments for Python, followed by the task."""
GRACE_SECONDS = 12.0
"""How long a job may take to write its checkpoint when it is told to stop."""
MAX_EVENT_BYTES = 1 << 20

JobAction = Literal["go on", "stop", "kill"]


async def run_job(
    task: RetrainTask,
    on_event: Callable[[Mapping[str, Any]], Awaitable[None]],
    next_action: Callable[[], Awaitable[JobAction]],
    poll_seconds: float,
) -> dict[str, Any]:
    """Run the job to its end and return its last event, "done" or "failed"; if the process ended without one, this is
    an event "failed" with the failure "died".

    ``on_event`` is called with every earlier event; ``next_action`` is polled every ``poll_seconds``.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *JOB,
        encode_text(task),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in the terminal is handled by the trainer
    )
    watching = asyncio.create_task(_poll_actions(process, next_action, poll_seconds))
    last: dict[str, Any] | None = None
    try:
        assert process.stdout is not None
        async for line in read_lines(process.stdout, MAX_EVENT_BYTES):
            event = _event(line)
            if event is None:
                log.warning("skipped %d bytes from a job that are not an event", len(line))
            elif event["event"] in ("done", "failed"):
                last = event
            else:
                await on_event(event)
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
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


async def _poll_actions(
    process: asyncio.subprocess.Process, next_action: Callable[[], Awaitable[JobAction]], poll_seconds: float
) -> None:
    clock = asyncio.get_running_loop().time
    stop_sent: float | None = None
    while process.returncode is None:
        action = await next_action()
        if action == "kill" or (stop_sent is not None and clock() - stop_sent > GRACE_SECONDS):
            _kill(process)
        elif action == "stop" and stop_sent is None:
            stop_sent = clock()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await asyncio.sleep(poll_seconds)


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the job and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
