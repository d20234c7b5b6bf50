"""Poems in a row: what each process holds, and what stays in the store."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp

from tests.conftest import immortal
from tests.soak.harness import HEADS, PATIENT, Crowd, Figures, bot_and_workers, looking, resident
from tests.stage import WORKER, Stage, stage

KEPT = {"jobs:v1", "replies", "dead", "trainings", "model", "versions"}
"""The streams and the registered state: all that may have no time to live."""


async def measure(
    poems: int = 50_000, warm_up: int = 5_000, callers: int = 48, worker: tuple[str, ...] = WORKER, **environ: str
) -> Figures:
    """Most are asked for over HTTP, where nothing limits the rate, and twenty a second in chats."""
    async with (
        stage(**{**PATIENT, **environ}) as here,
        bot_and_workers(here, worker) as (bots, writing),
        looking(here) as (redis, _),
    ):
        pids = {"bot": bots.members[0].pid, "worker": writing.members[0].pid, "redis": here.store.pid()}
        crowd, done = Crowd(here.telegram), asyncio.Event()
        asking = asyncio.create_task(crowd.ask_until(done, 0.05))
        await _over_http(here, warm_up, callers)
        before = {name: resident(pid) for name, pid in pids.items()}
        began = time.monotonic()
        bad = await _over_http(here, poems - warm_up, callers)
        rate = (poems - warm_up) / (time.monotonic() - began)
        done.set()
        await asking
        await crowd.answered()
        after = {name: resident(pid) for name, pid in pids.items()}
        left = {key.removeprefix("poem:") for key in await immortal(redis, "poem:")}
        growth = {f"{name}_growth": after[name] / before[name] - 1 for name in pids}
        megabytes = {f"{name}_mb": after[name] / 2**20 for name in pids}
        return crowd.figures(
            "poems in a row",
            0,
            over_http=poems,
            over_http_failed=bad,
            http_poems_a_second=rate,
            keys_that_never_expire_unasked=len(left - KEPT),
            **growth,
            **megabytes,
        )


async def _over_http(here: Stage, count: int, callers: int) -> int:
    """How many of them got no poem."""
    numbers = iter(range(count))
    bad = 0

    async def call(http: aiohttp.ClientSession) -> None:
        nonlocal bad
        for number in numbers:
            head = HEADS[number % len(HEADS)]
            body = json.dumps({"mode": "acrostic", "text": head, "candidates": 1}).encode()
            async with http.post(f"{here.url}/api/poems", data=body) as answer:
                poem = await answer.json()
                bad += answer.status != 200 or poem["lines"][0][0] != head

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(call(http) for _ in range(callers)))
    return bad
