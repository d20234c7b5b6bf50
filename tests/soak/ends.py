"""SIGTERM at any moment."""

from __future__ import annotations

import asyncio
import time

from tests.soak.harness import LONG_DEADLINE, SimulatedUsers, SoakResult, bot_and_workers, moments
from tests.support.stage import WORKER, stage


async def stopped(times: int = 20, every: float = 0.1, worker: tuple[str, ...] = WORKER, **environ: str) -> SoakResult:
    """Stop bot and worker in turn under load, from their start on."""
    codes, longest = [], 0.0
    async with stage(**{**LONG_DEADLINE, **environ}) as here, bot_and_workers(here, worker) as (bots, worker_group):
        users = SimulatedUsers(here.telegram)
        done = asyncio.Event()
        asking = asyncio.create_task(users.ask_until(done, every))
        for number, wait in enumerate(moments(times, 1.5, 4.0)):
            await asyncio.sleep(wait)
            program_group = (bots, worker_group)[number % 2]
            began = time.monotonic()
            codes.append(await program_group.stop(program_group.members[0]))
            longest = max(longest, time.monotonic() - began)
        done.set()
        await asking
        await users.answered()
        return users.figures("SIGTERM", times, not_exit_0=sum(code != 0 for code in codes), longest_seconds=longest)
