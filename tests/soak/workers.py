"""Workers killed while they write, and jobs that crash their worker."""

from __future__ import annotations

import asyncio
import json
import random
from functools import partial

from engine.contract.queue.store import Queue
from tests.soak.harness import (
    LONG_DEADLINE,
    QUICK_WORKER,
    SimulatedUsers,
    SoakResult,
    bot_and_workers,
    in_flight,
    open_queue,
    program_group,
)
from tests.support.fake_poet import KILLS
from tests.support.programs import RunningProgram
from tests.support.stage import BOT, WORKER, Stage, stage
from tests.support.waiting import until


async def killed(
    jobs: int = 1000, every: float = 5.0, asking: float = 0.0, worker: tuple[str, ...] = WORKER, **environ: str
) -> SoakResult:
    """Kill one of two workers every so many seconds until everything is written. ``asking``: seconds between two
    commands."""
    choose = random.Random(7)
    kills = in_hand = 0
    async with (
        stage(**{**LONG_DEADLINE, "CANDIDATES": "8", **environ}) as here,
        bot_and_workers(here, worker, 2) as (_, worker_group),
        open_queue(here.store.url) as (redis, queue),
    ):
        users = SimulatedUsers(here.telegram, tail="山水月")
        answered = asyncio.create_task(_answered(users, jobs, asking))
        while not answered.done():
            victim = choose.choice(worker_group.members)
            # Not before it serves: on a slow machine, no worker would ever get that far.
            await until(partial(_serves, queue, victim))
            await asyncio.wait({answered}, timeout=every)
            if answered.done():
                break
            in_hand += await in_flight(redis, queue.jobs, victim.pid)
            await worker_group.kill(victim)
            kills += 1
        await answered
        dead = len(await queue.dead_letters.letters())
        return users.figures("worker killed", kills, in_hand_at_kills=in_hand, given_up=dead)


async def _serves(queue: Queue, worker: RunningProgram) -> bool:
    return any(f"-{worker.pid}-" in name for name in await queue.workers.heartbeats.names())


async def _answered(users: SimulatedUsers, jobs: int, every: float) -> None:
    await users.ask(jobs, every)
    await users.answered()


async def crashing_jobs(jobs: int = 100, poisons: int = 10, **environ: str) -> SoakResult:
    """Queue jobs that crash their worker among others, with a stub of the poet, since the real one has no such job."""
    async with (
        stage(**{**LONG_DEADLINE, "LEASE": "0.5", **environ}) as here,
        program_group(here, "bot", BOT),
        open_queue(here.store.url) as (_, queue),
    ):
        users, bad = SimulatedUsers(here.telegram), [5_000 + number for number in range(poisons)]
        await users.ask(jobs // 2)
        for chat in bad:
            await here.telegram.put(here.telegram.update(f"/acrostic {KILLS}", chat=chat, user=chat))
        last = here.telegram.update("/acrostic 山", chat=4_999, user=4_999)
        await users.ask(jobs - jobs // 2)
        await here.telegram.put(last)
        await here.telegram.confirmed(last["update_id"])
        async with program_group(here, "worker", QUICK_WORKER, 2) as worker_group:
            deaths = 0
            while not {sent.chat for sent in here.telegram.sent} >= {*bad, 4_999, *users.asked}:
                deaths += await worker_group.restart_ended()
                await asyncio.sleep(0.1)
        dead = {entry for entry, _, _ in await queue.dead_letters.letters()}
        apologies = sum("没有写成" in sent.plain for sent in here.telegram.sent if sent.chat in bad)
        listed = json.loads(await _dead(here, "list", "--json"))
        await _dead(here, "retry", listed[0]["id"])
        for entry in listed[1:]:
            await _dead(here, "drop", entry["id"])
        left, back = len(await queue.dead_letters.letters()), (await queue.status()).waiting
        return users.figures(
            "job that kills its worker",
            poisons,
            deaths_of_workers=deaths,
            dead=len(dead),
            apologies=apologies,
            listed=len(listed),
            left_after_retry_and_drop=left,
            put_back=back,
        )


async def _dead(here: Stage, *words: str) -> str:
    log = here.folder / "dead.log"
    log.unlink(missing_ok=True)
    command = await RunningProgram.start(log, "-m", "engine", "dead", *words, environ=here.environ)
    assert await command.ended() == 0, command.output()
    return command.output()


def at(module: tuple[str, ...], hours: float) -> tuple[str, ...]:
    """The same program on a machine whose clock is so many hours ahead."""
    name, *words = module[1:]
    code = (
        "import runpy, sys, time\n"
        f"right = time.time\ntime.time = lambda: right() + {3600 * hours}\n"
        f"sys.argv = [{name!r}, *sys.argv[1:]]\nrunpy.run_module({name!r}, run_name='__main__', alter_sys=True)"
    )
    return ("-c", code, *words)


async def wrong_clocks(jobs: int = 100, worker: tuple[str, ...] = WORKER) -> SoakResult:
    """Three workers, and three bots one after the other; of each, one clock is an hour ahead, one an hour behind, one
    right."""
    async with (
        stage(CANDIDATES="1") as here,
        program_group(here, "ahead", at(worker, 1)) as ahead,
        program_group(here, "behind", at(worker, -1)) as behind,
        program_group(here, "worker", worker),
        open_queue(here.store.url) as (_, queue),
    ):
        done = 0
        found = []
        for number, hours in enumerate((1, -1, 0)):
            async with program_group(here, f"bot{hours}", at(BOT, hours)) as bots:
                await here.ready()
                users = SimulatedUsers(here.telegram, tail="山水月", first=1_000_000 + 10_000 * number)
                await users.ask(jobs // 3, 0.02)
                await users.answered()
                found.append(users.figures("clocks an hour off", 4))
                done += bots.members[0].output().count("clock is")
        skew = (await queue.status()).skew
        warned = sum("clock is" in each.output() for each in (ahead, behind)) + done
    return SoakResult(
        "clocks an hour ahead and behind",
        4,
        sum(each.jobs for each in found),
        sum(each.lost for each in found),
        sum(each.duplicated for each in found),
        {
            "without_poem": sum(each.more["without_poem"] for each in found),
            "worst_skew_seconds": abs(skew),
            "warnings": warned,
        },
    )


async def killed_while_all_busy(jobs: int = 200, kills: int = 10, **environ: str) -> SoakResult:
    """Kill one of five busy workers repeatedly: its jobs must wait without counting an attempt."""
    choose = random.Random(5)
    slow = (*QUICK_WORKER, "1.0")
    async with (
        stage(**{**LONG_DEADLINE, "LEASE": "1", **environ}) as here,
        bot_and_workers(here, slow, 5) as (_, worker_group),
        open_queue(here.store.url) as (redis, queue),
    ):
        users = SimulatedUsers(here.telegram)
        asking = asyncio.create_task(users.ask(jobs, 0.1))
        in_hand = 0
        for _ in range(kills):
            await asyncio.sleep(2.0)
            victim = choose.choice(worker_group.members)
            in_hand += await in_flight(redis, queue.jobs, victim.pid)
            await worker_group.kill(victim)
        await asking
        await users.answered()
        tries = [int(await redis.get(key) or 0) async for key in redis.scan_iter("poem:tries:*")]
        dead = len(await queue.dead_letters.letters())
        return users.figures(
            "busy workers, one killed", kills, in_hand_at_kills=in_hand, given_up=dead, tries_left=sum(tries)
        )
