"""Workers killed in the middle of writing, and jobs that kill their worker."""

from __future__ import annotations

import asyncio
import json
import random

from redis.asyncio import Redis

from engine.contract.queue.store import Queue
from tests.soak.harness import PATIENT, QUICK_WORKER, Crowd, Figures, bot_and_workers, crew, looking
from tests.support.fake_poet import KILLS
from tests.support.programs import Program
from tests.support.stage import BOT, WORKER, Stage, stage


async def killed(
    jobs: int = 1000, every: float = 5.0, asking: float = 0.0, worker: tuple[str, ...] = WORKER, **environ: str
) -> Figures:
    """Two workers, one of them killed every so many seconds until all is written. ``asking``: seconds between two
    commands."""
    choose = random.Random(7)
    kills = in_hand = 0
    async with (
        stage(**{**PATIENT, "CANDIDATES": "8", **environ}) as here,
        bot_and_workers(here, worker, 2) as (_, writing),
        looking(here) as (redis, queue),
    ):
        crowd = Crowd(here.telegram, tail="山水月")
        answered = asyncio.create_task(_answered(crowd, jobs, asking))
        while not answered.done():
            await asyncio.wait({answered}, timeout=every)
            if answered.done():
                break
            victim = choose.choice(writing.members)
            in_hand += await _in_hand(redis, queue, victim)
            await writing.kill(victim)
            kills += 1
        await answered
        dead = len(await queue.dead())
        return crowd.figures("worker killed", kills, in_hand_at_kills=in_hand, given_up=dead)


async def _answered(crowd: Crowd, jobs: int, every: float) -> None:
    await crowd.ask(jobs, every)
    await crowd.answered()


async def poison(jobs: int = 100, poisons: int = 10, **environ: str) -> Figures:
    """Among others so many jobs that kill whoever writes them. The poet is the one without a model: the real one has
    no such job."""
    async with (
        stage(**{**PATIENT, "LEASE": "0.5", **environ}) as here,
        crew(here, "bot", BOT),
        looking(here) as (_, queue),
    ):
        crowd, bad = Crowd(here.telegram), [5_000 + number for number in range(poisons)]
        await crowd.ask(jobs // 2)
        for chat in bad:
            await here.telegram.put(here.telegram.update(f"/acrostic {KILLS}", chat=chat, user=chat))
        last = here.telegram.update("/acrostic 山", chat=4_999, user=4_999)
        await crowd.ask(jobs - jobs // 2)
        await here.telegram.put(last)
        await here.telegram.confirmed(last["update_id"])
        async with crew(here, "worker", QUICK_WORKER, 2) as writing:
            deaths = 0
            while not {sent.chat for sent in here.telegram.sent} >= {*bad, 4_999, *crowd.asked}:
                deaths += await writing.replace_the_dead()
                await asyncio.sleep(0.1)
        dead = {entry for entry, _, _ in await queue.dead()}
        apologies = sum("没有写成" in sent.plain for sent in here.telegram.sent if sent.chat in bad)
        listed = json.loads(await _dead(here, "list", "--json"))
        await _dead(here, "retry", listed[0]["id"])
        for entry in listed[1:]:
            await _dead(here, "drop", entry["id"])
        left, back = len(await queue.dead()), (await queue.status()).waiting
        return crowd.figures(
            "job that kills its worker",
            poisons,
            deaths_of_workers=deaths,
            dead=len(dead),
            apologies=apologies,
            listed=len(listed),
            left_after_retry_and_drop=left,
            put_back=back,
        )


async def _in_hand(redis: Redis, queue: Queue, worker: Program) -> int:
    """Jobs that a worker holds; its number is in its consumer's name."""
    consumers = await redis.xinfo_consumers(queue.jobs.key, queue.jobs.group)
    return sum(int(consumer["pending"]) for consumer in consumers if f"-{worker.pid}-" in consumer["name"])


async def _dead(here: Stage, *words: str) -> str:
    log = here.folder / "dead.log"
    log.unlink(missing_ok=True)
    command = await Program.start(log, "-m", "engine", "dead", *words, environ=here.environ)
    assert await command.ended() == 0, command.output()
    return command.output()
