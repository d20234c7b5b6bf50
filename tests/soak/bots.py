"""Bots killed under load, with polling and with a webhook."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

from tests.soak.harness import (
    LONG_DEADLINE,
    WEBHOOK,
    SimulatedUsers,
    SoakResult,
    WebhookSender,
    bot_and_workers,
    in_flight,
    moments,
    open_queue,
)
from tests.support.programs import answers
from tests.support.stage import WORKER, stage

Door = Literal["polling", "webhook"]


async def killed(
    door: Door, kills: int = 20, every: float = 0.15, worker: tuple[str, ...] = WORKER, **environ: str
) -> SoakResult:
    """Send a command every ``every`` seconds while the bot is killed repeatedly, up to two seconds after each
    restart. Only replies that a killed bot had in flight may be sent twice; they are counted."""
    hooked = WEBHOOK if door == "webhook" else {}
    async with (
        stage(**{**LONG_DEADLINE, "LEASE": "1", **hooked, **environ}) as here,
        contextlib.aclosing(WebhookSender(here.url)) as post,
        bot_and_workers(here, worker) as (bots, _),
        open_queue(here.store.url) as (redis, queue),
    ):
        users = SimulatedUsers(here.telegram, post.bring if door == "webhook" else None)
        done = asyncio.Event()
        asking = asyncio.create_task(users.ask_until(done, every))
        unacknowledged = 0
        for wait in moments(kills, 0.1, 2.0):
            await answers(f"{here.url}/readyz")
            await asyncio.sleep(wait)
            victim = bots.members[0]
            await victim.kill()
            unacknowledged += await in_flight(redis, queue.replies, victim.pid)
            await bots.restart_ended()
        done.set()
        await asking
        await post.all_taken()
        await users.answered()
        return users.figures(f"bot killed, {door}", kills, unacknowledged_at_kills=unacknowledged)
