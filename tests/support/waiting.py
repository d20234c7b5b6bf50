"""Waiting for a condition; a failure names the line of the test that waited in vain."""

from __future__ import annotations

import asyncio
import contextlib
import linecache
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

from engine.contract.queue.store import Queue

PATIENCE_SECONDS = 100.0
"""Below the time limit of a test, but long enough for a busy machine."""
_HERE = ("tests/support/", "contextlib.py")


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS) -> None:
    """Poll ``condition``. AssertionError: it did not become true; the message quotes the line that waited."""
    async with patience(seconds):
        while not await condition():  # noqa: ASYNC110  # what is waited for happens in other programs
            await asyncio.sleep(0.01)


async def until_waiting(queue: Queue, jobs: int) -> None:
    """Wait until so many jobs are queued or being written."""

    async def reached() -> bool:
        return (await queue.status()).waiting == jobs

    await until(reached)


@contextlib.asynccontextmanager
async def patience(seconds: float = PATIENCE_SECONDS) -> AsyncIterator[None]:
    """Cancel a block that takes longer, with an AssertionError that quotes the line of the test."""
    frame = sys._getframe(1)
    while frame.f_back is not None and any(part in frame.f_code.co_filename for part in _HERE):
        frame = frame.f_back
    where, line = frame.f_code.co_filename, frame.f_lineno
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        waited = linecache.getline(where, line).strip()
        raise AssertionError(f"waited {seconds:g} s in vain at {where}:{line}: {waited}") from None
