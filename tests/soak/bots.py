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
    moments,
)
from tests.support.programs import answers
from tests.support.stage import WORKER, stage

Door = Literal["polling", "webhook"]


async def killed(
    door: Door, kills: int = 20, every: float = 0.15, worker: tuple[str, ...] = WORKER, **environ: str
) -> SoakResult:
    """Send a command every ``every`` seconds while the bot is killed repeatedly, up to two seconds after each
    restart."""
    hooked = WEBHOOK if door == "webhook" else {}
    async with (
        stage(**{**LONG_DEADLINE, "LEASE": "1", **hooked, **environ}) as here,
        contextlib.aclosing(WebhookSender(here.url)) as post,
        bot_and_workers(here, worker) as (bots, _),
    ):
        users = SimulatedUsers(here.telegram, post.bring if door == "webhook" else None)
        done = asyncio.Event()
        asking = asyncio.create_task(users.ask_until(done, every))
        for wait in moments(kills, 0.1, 2.0):
            await answers(f"{here.url}/readyz")
            await asyncio.sleep(wait)
            await bots.kill(bots.members[0])
        done.set()
        await asking
        await post.all_taken()
        await users.answered()
        return users.figures(f"bot killed, {door}", kills)
