"""The HTTP requests of this process that are waiting for a poem."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterator

from bot.metrics import Metrics
from engine.contract import Poem, PoemError
from engine.contract.queue.messages import PendingRequest
from engine.contract.queue.retry import retry_until_available
from engine.contract.queue.store import Queue

log = logging.getLogger("bot.http.pending")

PoemOrError = Poem | PoemError


class PendingRequests:
    """Answers arrive in this process's own stream; those that nobody waits for any more are dropped."""

    def __init__(self, queue: Queue, metrics: Metrics) -> None:
        self._queue = queue
        self._metrics = metrics
        self._process = secrets.token_hex(8)
        self._waiting: dict[str, asyncio.Future[PoemOrError]] = {}
        self._stopping = asyncio.Event()

    @contextlib.contextmanager
    def expecting(self) -> Iterator[tuple[PendingRequest, asyncio.Future[PoemOrError]]]:
        """A new address, and the future that receives the answer to it."""
        address = PendingRequest(self._process, secrets.token_hex(8))
        future = self._waiting[address.id] = asyncio.get_running_loop().create_future()
        try:
            yield address, future
        finally:
            del self._waiting[address.id]

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Deliver answers until ``stop`` or cancellation; unread ones stay in Redis."""
        while not self._stopping.is_set():
            await retry_until_available(self._step, self._stopping)

    async def _step(self) -> None:
        for reply in await self._queue.answers(self._process, 1.0):
            if isinstance(reply.to, PendingRequest) and isinstance(reply.content, Poem | PoemError):
                future = self._waiting.get(reply.to.id)
                if future is not None and not future.done():
                    self._metrics.observe_work(reply)
                    log.info("answered", extra={"job": reply.job})
                    future.set_result(reply.content)
