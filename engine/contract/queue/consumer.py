"""What all consumers of a stream share: a name, a way to stop, tasks in flight, and periodic calls."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from redis.exceptions import RedisError

from engine.contract.queue.retry import retry_until_available, sleep_unless
from engine.contract.queue.stream import Stream

T = TypeVar("T")

CANCEL_SECONDS = 2.0
"""How long to wait for cancelled tasks: redis-py may swallow CancelledError."""


class StreamConsumer:
    """Base class. A subclass takes entries until ``_stopping`` is set, inside the block of ``_consuming``."""

    def __init__(self, stream: Stream) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._stream = stream
        self._in_flight: dict[asyncio.Task[None], str] = {}
        """Tasks, each with the entry or chat that it works on."""
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    def stop(self) -> None:
        """Finish what is in flight, take nothing new."""
        self._stopping.set()

    def _start(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.create_task(work)
        self._in_flight[task] = what
        task.add_done_callback(self._in_flight.pop)

    async def _finish_in_flight(self, seconds: float) -> None:
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=seconds)

    async def _persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await retry_until_available(attempt, self._stopping)

    @contextlib.asynccontextmanager
    async def _consuming(self, *repeated: tuple[float, Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
        """Within the block, calls each of ``repeated`` at its interval in seconds. At the end, cancels what is still in
        flight and leaves the stream."""
        background = [asyncio.create_task(self._repeat(*each)) for each in repeated]
        try:
            yield
        finally:
            self._ended.set()
            tasks = {*background, *self._in_flight}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
            with contextlib.suppress(RedisError):
                await self._leave()

    async def _repeat(self, seconds: float, attempt: Callable[[], Awaitable[None]]) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(RedisError):  # the loop that takes entries sees the same error and logs it
                await attempt()
            await sleep_unless(self._ended, seconds)

    async def _leave(self) -> None:
        """Delete what the consumer registered in Redis."""
        await self._stream.retire(self.name)
