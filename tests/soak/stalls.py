"""A program that is suspended with work in flight while another one takes over."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.soak.harness import (
    LONG_DEADLINE,
    QUICK_WORKER,
    SimulatedUsers,
    SoakResult,
    bot_and_workers,
    open_queue,
    program_group,
)
from tests.support.programs import free_port
from tests.support.stage import BOT, stage
from tests.support.waiting import until

CHAT = 5


async def stalled(
    answers: int = 16, seconds: float = 8.0, worker: tuple[str, ...] = QUICK_WORKER, **environ: str
) -> SoakResult:
    """All requests come from one chat, so that the replies are sent one after another; one may be on its way when the
    bot is suspended. ``seconds``: how long to wait for duplicates."""
    async with stage(**{**LONG_DEADLINE, "LEASE": "1", **environ}) as here, bot_and_workers(here, worker) as (bots, _):
        for _ in range(answers):
            await here.telegram.write("/acrostic 春", chat=CHAT, user=CHAT)
        await here.telegram.messages(2, CHAT)
        before = len(here.telegram.sent)
        stopped = bots.members[0].pid
        os.kill(stopped, signal.SIGSTOP)
        async with program_group(here, "other", BOT, HTTP_PORT=str(free_port())):
            await here.telegram.messages(answers, CHAT)
            os.kill(stopped, signal.SIGCONT)
            await asyncio.sleep(0.6 * seconds)
        # Replies that neither bot has sent yet, if any, are sent now.
        await asyncio.sleep(0.4 * seconds)
        sent = len(here.telegram.sent)
        return SoakResult(
            "a bot stalled with answers in flight",
            answers - before,
            answers,
            max(0, answers - sent),
            max(0, sent - answers),
            {"programs_that_ended": sum(member.has_ended for member in bots.members)},
        )


async def worker(stops: int = 10, jobs: int = 200, **environ: str) -> SoakResult:
    """Suspend one of two workers for four leases, repeatedly; then it continues with what it had in flight."""
    slow = (*QUICK_WORKER, "0.5")
    async with (
        stage(**{**LONG_DEADLINE, "LEASE": "1", **environ}) as here,
        bot_and_workers(here, slow, 2) as (_, worker_group),
        open_queue(here.store.url) as (_, queue),
    ):
        users, in_flight = SimulatedUsers(here.telegram), 0

        async def is_writing() -> bool:
            return await queue.jobs.held() > 0

        asking = asyncio.create_task(users.ask(jobs, 6.0 * stops / jobs))
        for _ in range(stops):
            await asyncio.sleep(1.0)
            await until(is_writing)  # a stop between two jobs would test nothing
            victim = worker_group.members[0].pid
            os.kill(victim, signal.SIGSTOP)
            in_flight += await queue.jobs.held()
            await asyncio.sleep(4.0)
            os.kill(victim, signal.SIGCONT)
        await asking
        await users.answered()
        return users.figures("a worker stopped for four leases", stops, in_flight_at_stops=in_flight)
