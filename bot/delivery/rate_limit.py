"""Keeps to Telegram's limits: about 30 messages per second, one per second per chat, 20 per minute per group.

Bursts of 30 are allowed. Evenly spaced messages could never catch up: at 30 replies per second, a late one would delay
all after it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

MAX_CHATS = 10_000
"""When more chats are remembered, those that need no pause are forgotten."""


class RateLimiter:
    """``overall``: maximum messages in any second; ``private``, ``group``: minimum seconds between two in a chat."""

    def __init__(
        self,
        overall: int = 30,
        private: float = 1.0,
        group: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._latest: deque[float] = deque(maxlen=overall)
        self._private = private
        self._group = group
        self._clock = clock
        self._sleep = sleep
        self._chats: dict[int, float] = {}

    async def turn(self, chat: int | None) -> None:
        """Wait until a message to ``chat`` may be sent (None: chat unknown). Not to be called concurrently for one
        chat."""
        await self._until(0.0 if chat is None else self._chats.get(chat, 0.0))
        full = len(self._latest) == self._latest.maxlen
        mine = max(self._clock(), self._latest[0] + 1.0 if full else 0.0)
        self._latest.append(mine)
        await self._until(mine)
        if chat is None:
            return
        # Groups have negative IDs.
        self._chats[chat] = self._clock() + (self._group if chat < 0 else self._private)
        if len(self._chats) > MAX_CHATS:
            now = self._clock()
            self._chats = {chat: free for chat, free in self._chats.items() if free > now}

    async def _until(self, moment: float) -> None:
        delay = moment - self._clock()
        if delay > 0:
            await self._sleep(delay)
