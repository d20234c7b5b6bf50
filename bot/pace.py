"""Telegram's limits on sending: about thirty messages a second, one a second a chat, twenty a minute a group."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Gaps in seconds between any two messages, two in a private chat, two in a group."""

    def __init__(self, overall: float = 1 / 30, private: float = 1.0, group: float = 3.0) -> None:
        self._overall = overall
        self._private = private
        self._group = group
        self._next = 0.0
        self._chats: dict[int, float] = {}

    async def turn(self, chat: int) -> None:
        """Wait until a message to ``chat`` may go. A chat must not wait for two turns at once."""
        await _until(self._chats.get(chat, 0.0))
        now = time.monotonic()
        self._next = max(now, self._next) + self._overall
        await _until(self._next - self._overall)
        # Groups have negative numbers.
        self._chats[chat] = time.monotonic() + (self._group if chat < 0 else self._private)
        if len(self._chats) > 10_000:
            now = time.monotonic()
            self._chats = {chat: free for chat, free in self._chats.items() if free > now}


async def _until(moment: float) -> None:
    delay = moment - time.monotonic()
    if delay > 0:
        await asyncio.sleep(delay)
