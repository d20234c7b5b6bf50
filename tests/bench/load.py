"""From update to reply, end to end: real programs, a fake Bot API, an embedded server, all on this machine.

Commands come evenly spaced, each of another person, in all modes; Telegram's limits are kept. The last line is JSON.
    python -m tests.bench.load [--rates 1,30] [--seconds 60]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from itertools import cycle

import aiohttp

from tests.support.programs import resident_bytes
from tests.support.stage import BOT, WORKER, Stage, stage

MESSAGES = (
    "/continue 老夫聊发少年狂",
    "/acrostic 春风十里",
    "/continue 五绝 白日依山尽",
    "/acrostic 七言 夜月一帘 | 大漠孤烟直",
    "/continue 七绝 月落乌啼霜满天 | 欲穷千里目，更上一层楼",
    "/continue 大江东去",
    "/acrostic 夜月一帘幽梦春风",
    "/continue 明月几时有，把酒问青天",
)
PATIENCE = 30.0
"""Seconds after the last command in which replies may still arrive."""


async def measure(rates: list[float], seconds: float) -> dict[str, float]:
    found: dict[str, float] = {}
    async with stage() as here, here.program("worker", *WORKER) as worker, here.program("bot", *BOT) as bot:
        await here.ready()
        await offered(here, 2, 5)  # warm up
        for rate in rates:
            before = await candidates(here)
            waits, lost = await offered(here, rate, seconds)
            after = await candidates(here)
            mean = (after[0] - before[0]) / max(1.0, after[1] - before[1])
            cut = statistics.quantiles(waits, n=20)
            print(f"{rate:g}/s: {len(waits)} answered, {lost} lost, p50 {cut[9]:.3f} s, p95 {cut[18]:.3f} s")
            print(f"  chosen from {mean:.1f} candidates, on average")
            found |= {f"p50_s_at_{rate:g}": cut[9], f"p95_s_at_{rate:g}": cut[18], f"lost_at_{rate:g}": lost}
            found[f"candidates_at_{rate:g}"] = mean
        found |= {"worker_mb": resident_bytes(worker.pid) / 1e6, "bot_mb": resident_bytes(bot.pid) / 1e6}
    return found


async def offered(here: Stage, rate: float, seconds: float) -> tuple[list[float], int]:
    """Seconds from each update to its reply, and how many had none."""
    asked: dict[int, float] = {}
    began, messages = time.monotonic(), cycle(MESSAGES)
    known = len(here.telegram.sent)
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        person = 1_000_000 + known + number
        at = time.monotonic()
        asked[await here.telegram.write(next(messages), chat=person, user=person)] = at
    try:
        async with asyncio.timeout(PATIENCE):
            await here.telegram.until(lambda: len(here.telegram.sent) >= known + len(asked))
    except TimeoutError:
        print("some replies did not come")
    waits = [sent.at - asked[sent.reply_to] for sent in here.telegram.sent[known:] if sent.reply_to in asked]
    return waits, len(asked) - len(waits)


async def candidates(here: Stage) -> tuple[float, float]:
    """How many poems have been written so far, and from how many candidates they were chosen."""
    async with aiohttp.ClientSession() as session, session.get(f"{here.url}/metrics") as answer:
        lines = dict(line.rsplit(" ", 1) for line in (await answer.text()).splitlines() if not line.startswith("#"))
    return float(lines["poem_candidates_sum"]), float(lines["poem_candidates_count"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="1,30", help="commands a second, one after the other (1,30)")
    parser.add_argument("--seconds", type=float, default=60, help="of each (60)")
    options = parser.parse_args()
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    found = asyncio.run(measure([float(rate) for rate in options.rates.split(",")], options.seconds))
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    main()
