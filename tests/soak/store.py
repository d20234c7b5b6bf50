"""The Redis-protocol server killed under load, unavailable for a minute, suspended, full, and without its groups."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial

from engine.contract.queue.store import Queue
from tests.soak.harness import (
    LONG_DEADLINE,
    ProgramGroup,
    SimulatedUsers,
    SoakResult,
    bot_and_workers,
    cpu_seconds,
    moments,
    open_queue,
)
from tests.support.programs import answers
from tests.support.stage import WORKER, stage
from tests.support.store_process import kill_store, store_pid
from tests.support.waiting import until

ATTEMPT = "next attempt in"
"""What the programs log after each failed attempt."""


async def killed(
    kills: int = 10, every: float = 0.1, burst: int = 50, worker: tuple[str, ...] = WORKER, **environ: str
) -> SoakResult:
    """Send a command every ``every`` seconds, and many before each kill, so that jobs are queued; the server is
    restarted a second later."""
    async with (
        stage(**{**LONG_DEADLINE, "CANDIDATES": "8", **environ}) as here,
        bot_and_workers(here, worker) as (bots, worker_group),
        open_queue(here.store.url) as (_, queue),
    ):
        users, waiting = SimulatedUsers(here.telegram), 0
        done = asyncio.Event()
        asking = asyncio.create_task(users.ask_until(done, every))
        for wait in moments(kills, 1.0, 3.0):
            await asyncio.sleep(wait)
            await users.ask(burst)
            await until(partial(_waits, queue))
            waiting += await queue.jobs.length()
            kill_store(here.store)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(here.store.start)
            await here.ready()
        done.set()
        await asking
        await users.answered()
        ended = sum(member.has_ended for member in (*bots.members, *worker_group.members))
        return users.figures("Redis killed", kills, waiting_at_kills=waiting, programs_that_ended=ended)


async def gone(
    seconds: float = 60.0, before: int = 100, during: int = 100, worker: tuple[str, ...] = WORKER, **environ: str
) -> SoakResult:
    """The server is unavailable while jobs wait and users send commands; the first jobs pass their deadline
    meanwhile."""
    deadline = {**LONG_DEADLINE, "JOB_DEADLINE": str(seconds / 2)}
    async with stage(**{**deadline, **environ}) as here, bot_and_workers(here, worker) as (bots, worker_group):
        users = SimulatedUsers(here.telegram)
        await users.ask(before)
        await here.telegram.messages(1)
        programs = (*bots.members, *worker_group.members)
        kill_store(here.store)
        used, tries = sum(cpu_seconds(program.pid) for program in programs), _attempts(bots, worker_group)
        await answers(f"{here.url}/readyz", 503)
        await users.ask(during, seconds / during)
        used = sum(cpu_seconds(program.pid) for program in programs) - used
        tries = _attempts(bots, worker_group) - tries
        await asyncio.to_thread(here.store.start)
        await here.ready()
        await users.answered()
        ended = sum(member.has_ended for member in programs)
        return users.figures(
            f"Redis gone for {seconds:g} s", 1, programs_that_ended=ended, attempts=tries, cpu_seconds=used
        )


async def suspended_full_and_without_groups(
    rounds: int = 5, seconds: float = 15.0, every: float = 0.2, worker: tuple[str, ...] = WORKER, **environ: str
) -> SoakResult:
    """In each round the server is suspended, then has no memory, then its groups are destroyed repeatedly, while users
    send commands."""
    async with (
        stage(**{**LONG_DEADLINE, "LEASE": "1", **environ}) as here,
        bot_and_workers(here, worker) as (bots, worker_group),
        open_queue(here.store.url) as (redis, queue),
    ):
        users, done = SimulatedUsers(here.telegram), asyncio.Event()
        asking = asyncio.create_task(users.ask_until(done, every))
        destroyed = 0
        for _ in range(rounds):
            await asyncio.sleep(1.0)
            server = store_pid(here.store)
            os.kill(server, signal.SIGSTOP)
            await asyncio.sleep(seconds)
            os.kill(server, signal.SIGCONT)
            await here.ready()
            await redis.config_set("maxmemory", 1)
            await answers(f"{here.url}/readyz", 503)
            await asyncio.sleep(seconds)
            await redis.config_set("maxmemory", 0)
            await here.ready()
            for _ in range(10):
                for stream in (queue.jobs, queue.replies):
                    destroyed += int(await redis.xgroup_destroy(stream.key, stream.group))
                await asyncio.sleep(0.2)
        done.set()
        await asking
        await users.answered()
        ended = sum(member.has_ended for member in (*bots.members, *worker_group.members))
        return users.figures(
            f"Redis stopped for {seconds:g} s, full for as long, its groups destroyed",
            2 * rounds + destroyed,
            groups_destroyed=destroyed,
            programs_that_ended=ended,
        )


def _attempts(*crews: ProgramGroup) -> int:
    return sum(program_group.output().count(ATTEMPT) for program_group in crews)


async def _waits(queue: Queue) -> bool:
    return await queue.jobs.length() > 0
