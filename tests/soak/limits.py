"""One user who floods the bot, one address with expensive requests, and a full queue."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter

import aiohttp

from engine.contract.queue.store import Queue
from tests.soak.harness import SimulatedUsers, SoakResult, bot_and_workers, open_queue, program_group
from tests.support.programs import answers
from tests.support.stage import BOT, WORKER, Stage, stage
from tests.support.waiting import until

FLOODER = 13
PER_MINUTE, PER_DAY = "6", "200"


async def flood(
    commands: int = 10_000, rate: float = 200.0, others: int = 100, worker: tuple[str, ...] = WORKER, **environ: str
) -> SoakResult:
    """How long other users wait for their poems, before and while one user sends so many commands per second."""
    limits = {"USER_PER_MINUTE": PER_MINUTE, "USER_PER_DAY": PER_DAY}
    async with (
        stage(**{**limits, **environ}) as here,
        bot_and_workers(here, worker),
        open_queue(here.store.url) as (_, queue),
    ):
        await _p95(here, SimulatedUsers(here.telegram, first=3_000_000), 10, 0.1)
        users, every = SimulatedUsers(here.telegram), commands / rate / others
        calm = await _p95(here, users, others, every)
        flooding = asyncio.create_task(_flood(here, commands, rate))
        flooded = await _p95(here, users, others, every)
        last = await flooding
        await here.telegram.confirmed(last)
        await until(lambda: _idle(queue))
        heard = [sent.plain for sent in here.telegram.sent if sent.chat == FLOODER]
        return users.figures(
            "one user floods",
            commands,
            poems_for_flooder=sum("太频繁" not in text for text in heard),
            told_to_slow_down=sum("太频繁" in text for text in heard),
            p95_calm=calm,
            p95_flooded=flooded,
            growth=flooded / calm,
        )


async def _flood(here: Stage, commands: int, rate: float) -> int:
    began, last = time.monotonic(), 0
    for number in range(commands):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        last = await here.telegram.write("/acrostic 春", chat=FLOODER, user=FLOODER)
    return last


async def _idle(queue: Queue) -> bool:
    return await queue.replies.length() == 0 and await queue.jobs.length() == 0


async def _p95(here: Stage, users: SimulatedUsers, count: int, every: float) -> float:
    """95th percentile of the seconds from a command to its answer."""
    before = len(users.asked)
    await users.ask(count, every)
    await users.answered()
    return statistics.quantiles(list(users.waits().values())[before:], n=20)[18]


async def expensive_poems(
    callers: int = 16, others: int = 100, worker: tuple[str, ...] = WORKER, **environ: str
) -> SoakResult:
    """How long others wait, before and while one address requests the most expensive poems."""
    limits = {"USER_PER_MINUTE": PER_MINUTE, "USER_PER_DAY": PER_DAY, "TRUSTED_PROXIES": "127.0.0.1"}
    async with stage(**{**limits, **environ}) as here, bot_and_workers(here, worker), open_queue(here.store.url):
        await _p95(here, SimulatedUsers(here.telegram, first=3_000_000), 10, 0.1)
        users, done = SimulatedUsers(here.telegram), asyncio.Event()
        calm = await _p95(here, users, others, 0.1)
        statuses: Counter[int] = Counter()
        asking = [asyncio.create_task(_ask_dear(here.url, done, statuses)) for _ in range(callers)]
        flooded = await _p95(here, users, others, 0.1)
        done.set()
        await asyncio.gather(*asking)
        return users.figures(
            "one address requests the most expensive poems",
            sum(statuses.values()),
            poems_for_it=statuses[200],
            refused=statuses[429],
            p95_calm=calm,
            p95_flooded=flooded,
        )


async def _ask_dear(url: str, done: asyncio.Event, statuses: Counter[int]) -> None:
    wanted = {"mode": "continue", "text": "老夫聊发少年狂", "form": "排律", "lines": 24, "candidates": 64}
    async with aiohttp.ClientSession() as http:
        while not done.is_set():
            async with http.post(f"{url}/api/poems", json=wanted, headers={"X-Forwarded-For": "203.0.113.9"}) as answer:
                statuses[answer.status] += 1
            await asyncio.sleep(0.05)


async def full(room: int = 2000, beyond: int = 200, worker: tuple[str, ...] = WORKER, **environ: str) -> SoakResult:
    """Send more requests than may wait while no worker is alive: the surplus is refused at once, the others are written
    later."""
    told = {"QUEUE_MAX": str(room), "JOB_DEADLINE": "3600"}
    async with stage(**{**told, **environ}) as here, program_group(here, "bot", BOT):
        await answers(f"{here.url}/healthz")
        accepted, refused = SimulatedUsers(here.telegram), SimulatedUsers(here.telegram, first=2_000_000)
        await accepted.ask(room)
        await refused.ask(beyond)
        await refused.answered()
        answered_early = sum(sent.chat in accepted.asked for sent in here.telegram.sent)
        async with program_group(here, "worker", worker):
            await accepted.answered()
        turned_away = refused.figures("", 0)
        return accepted.figures(
            "queue full",
            beyond,
            told_busy=sum("秒" in sent.plain for sent in here.telegram.sent if sent.chat in refused.asked),
            not_told=turned_away.lost,
            told_twice=turned_away.duplicated,
            accepted_but_answered_before_a_worker=answered_early,
        )
