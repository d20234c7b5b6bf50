"""Many poems in a row: the memory of each process, and what remains in the store."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import aiohttp
from redis.asyncio import Redis

from tests.conftest import immortal
from tests.soak.harness import HEADS, LONG_DEADLINE, SimulatedUsers, SoakResult, bot_and_workers, open_queue
from tests.support.programs import resident_bytes
from tests.support.stage import WORKER, Stage, stage
from tests.support.store_process import store_pid

KEPT = {"jobs:v1", "replies", "dead", "trainings", "model", "versions"}
"""The streams and the registered state: all keys that may have no time to live."""


async def measure(
    poems: int = 50_000, warm_up: int = 5_000, callers: int = 48, worker: tuple[str, ...] = WORKER, **environ: str
) -> SoakResult:
    """Most poems are requested over HTTP, where nothing limits the rate, and twenty per second in chats."""
    async with (
        stage(**{**LONG_DEADLINE, "JOB_DEADLINE": "60", **environ}) as here,
        bot_and_workers(here, worker) as (bots, worker_group),
        open_queue(here.store.url) as (redis, _),
    ):
        pids = {"bot": bots.members[0].pid, "worker": worker_group.members[0].pid, "redis": store_pid(here.store)}
        users, done = SimulatedUsers(here.telegram), asyncio.Event()
        asking = asyncio.create_task(users.ask_until(done, 0.05))
        programs = CallerPrograms(here, callers)
        await programs.ask_while(lambda: programs.asked + len(users.asked) < warm_up)
        before, lasting = {name: resident_bytes(pid) for name, pid in pids.items()}, await _lasting(redis)
        began = time.monotonic()
        await programs.ask_while(lambda: programs.asked + len(users.asked) < poems)
        rate = (poems - warm_up) / (time.monotonic() - began)
        done.set()
        await asking
        await users.answered()
        after = {name: resident_bytes(pid) for name, pid in pids.items()}
        left = {key.removeprefix("poem:") for key in await immortal(redis, "poem:")}
        growth = {f"{name}_growth": after[name] / before[name] - 1 for name in pids}
        megabytes = {f"{name}_mb": after[name] / 2**20 for name in pids}
        return users.figures(
            "poems in a row",
            0,
            over_http=programs.asked,
            over_http_failed=programs.failed,
            poems_a_second=rate,
            keys_that_never_expire_unasked=len(left - KEPT),
            redis_growth_but_for_what_expires=await _lasting(redis) / lasting - 1,
            **growth,
            **megabytes,
        )


async def _lasting(redis: Redis) -> int:
    """Bytes that the store uses, without those of keys that expire."""
    expiring = 0
    async for key in redis.scan_iter("*", count=1000):
        if await redis.ttl(key) > 0:
            expiring += await redis.memory_usage(key) or 0
    return int((await redis.info("memory"))["used_memory"]) - expiring


class CallerPrograms:
    """Programs that request poems over HTTP, each one after the other."""

    def __init__(self, here: Stage, count: int) -> None:
        self._url = f"{here.url}/api/poems"
        self._count = count
        self.asked = self.failed = 0

    async def ask_while(self, wanted: Callable[[], bool]) -> None:
        async with aiohttp.ClientSession() as http:
            await asyncio.gather(*(self._ask(http, wanted) for _ in range(self._count)))

    async def _ask(self, http: aiohttp.ClientSession, wanted: Callable[[], bool]) -> None:
        while wanted():
            head = HEADS[self.asked % len(HEADS)]
            self.asked += 1
            body = json.dumps({"mode": "acrostic", "text": head, "candidates": 1}).encode()
            async with http.post(self._url, data=body) as answer:
                poem = await answer.json()
                self.failed += answer.status != 200 or poem["lines"][0][0] != head
