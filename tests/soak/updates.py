"""Updates that arrive repeatedly and out of order, and two bots that poll with one token by mistake."""

from __future__ import annotations

import asyncio
import contextlib
import random

from tests.soak.harness import (
    LONG_DEADLINE,
    WEBHOOK,
    SimulatedUsers,
    SoakResult,
    WebhookSender,
    bot_and_workers,
    program_group,
)
from tests.support.programs import free_port
from tests.support.stage import BOT, WORKER, stage
from tests.support.waiting import until


async def shuffled(jobs: int = 500, worker: tuple[str, ...] = WORKER, **environ: str) -> SoakResult:
    """Send every update three times to the webhook, all at once."""
    heap: list[dict[str, object]] = []

    async def keep(update: dict[str, object]) -> None:
        heap.append(update)

    async with (
        stage(**{**LONG_DEADLINE, **WEBHOOK, **environ}) as here,
        contextlib.aclosing(WebhookSender(here.url)) as post,
        bot_and_workers(here, worker),
    ):
        users = SimulatedUsers(here.telegram, keep)
        await users.ask(jobs)
        heap *= 3
        random.Random(7).shuffle(heap)
        for update in heap:
            await post.bring(update)
            await asyncio.sleep(0.002)
        await post.all_taken()
        await users.answered()
        return users.figures("updates repeated and out of order", 2 * jobs)


async def two_bots(jobs: int = 100, every: float = 0.1, worker: tuple[str, ...] = WORKER, **environ: str) -> SoakResult:
    """``conflicts``: number of log lines that name the mistake."""
    async with (
        stage(**{**LONG_DEADLINE, **environ}) as here,
        bot_and_workers(here, worker) as (bots, _),
        program_group(here, "other", BOT, HTTP_PORT=str(free_port())) as others,
    ):
        await others.members[0].says("connected to Telegram")
        users = SimulatedUsers(here.telegram)
        await users.ask(jobs, every)
        await users.answered()

        def conflicts() -> int:
            return (bots.output() + others.output()).count("another program reads the updates")

        async def named() -> bool:
            return conflicts() > 0

        await until(named)
        return users.figures("two bots, one token", 1, conflicts=conflicts())
