"""Limits each HTTP caller's share of the queue: further requests wait here, behind the caller's earlier ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

SHARE_COST = 32
"""Maximum cost of one caller's requests in the queue; half of what a worker has in flight."""

MAX_OPEN = 96
"""Maximum number of one caller's requests that wait here or are being written: each holds a connection, and those are
scarce."""


class FairShare:
    def __init__(self, share: int = SHARE_COST) -> None:
        self._share = share
        self._lanes: dict[str, _Lane] = {}

    def has_capacity(self, caller: str) -> bool:
        """Whether one more request of ``caller`` may wait."""
        return caller not in self._lanes or self._lanes[caller].users < MAX_OPEN

    @contextlib.asynccontextmanager
    async def turn(self, caller: str, cost: int) -> AsyncIterator[None]:
        """Waits until ``cost`` fits into the share of ``caller``; a request that exceeds the whole share runs alone."""
        cost = min(cost, self._share)
        lane = self._lanes.setdefault(caller, _Lane(self._share))
        lane.users += 1
        try:
            async with lane.next:
                await lane.take(cost)
            try:
                yield
            finally:
                lane.give(cost)
        finally:
            lane.users -= 1
            if not lane.users:
                self._lanes.pop(caller, None)


class _Lane:
    """One caller's share. ``next``: held by the request that takes from it next; asyncio's locks keep the order."""

    def __init__(self, free: int) -> None:
        self.users = 0
        self.next = asyncio.Lock()
        self._free = free
        self._given = asyncio.Event()

    async def take(self, cost: int) -> None:
        while cost > self._free:
            self._given.clear()
            await self._given.wait()
        self._free -= cost

    def give(self, cost: int) -> None:
        self._free += cost
        self._given.set()
