"""Waiting for what must come; a test that waits in vain is ended by its time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110  # what is waited for happens in other programs
        await asyncio.sleep(0.01)
