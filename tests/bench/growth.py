"""How cost grows: poems a second with rows, latency with offered load, memory with the length of the queue.

The last line is JSON; ``--plot`` draws it.
    python -m tests.bench.growth [--plot docs/images/growth.png]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from itertools import cycle
from pathlib import Path
from typing import Any

from engine.contract import PoemRequest
from engine.contract.queue.messages import Chat, Job, Reply
from engine.contract.queue.store import Queue, connect
from engine.generation.poet import Poet
from tests.bench.speed import quatrains
from tests.support.stage import WORKER, stage
from tests.support.waiting import until

ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
RATES = (2, 5, 10, 20, 40, 80, 120, 160, 200)
SECONDS = 8.0
PREFIX = "bench:"
LENGTHS = (0, 500, 1000, 2000, 4000, 8000)
REQUESTS = (
    PoemRequest("continue", "老夫聊发少年狂"),
    PoemRequest("acrostic", "春风十里"),
    PoemRequest("continue", "白日依山尽", form="五绝"),
    PoemRequest("acrostic", "夜月一帘", form="七言", mood="大漠孤烟直"),
)
Points = list[tuple[float, float]]


def by_rows(poet: Poet) -> Points:
    """Poems per second with so many requests of one candidate at a time."""
    points: Points = []
    for rows in ROWS:
        rounds = max(3, 64 // rows)
        poet.write(quatrains(rows))
        began = time.perf_counter()
        for _ in range(rounds):
            poet.write(quatrains(rows))
        points.append((rows, rows * rounds / (time.perf_counter() - began)))
        print(f"{rows} rows: {points[-1][1]:.0f} poems/s")
    return points


async def by_load() -> list[tuple[float, float, float]]:
    """Offered poems per second, and the median and 95th percentile of the seconds from queue to answer, up to the load
    that cannot be kept up with."""
    points: list[tuple[float, float, float]] = []
    async with stage() as here, here.program("worker", *WORKER, KEY_PREFIX=PREFIX):
        redis = connect(here.store.url)
        queue = Queue(redis, PREFIX)
        await queue.prepare()
        await until(lambda: _workers(queue))
        for rate in RATES:
            waits = await _offered(queue, rate)
            cut = statistics.quantiles(waits, n=20)
            points.append((rate, cut[9], cut[18]))
            print(f"{rate}/s offered: p50 {cut[9]:.3f} s, p95 {cut[18]:.3f} s")
            if cut[18] > 3:
                break
        await redis.aclose()
    return points


async def _workers(queue: Queue) -> bool:
    return (await queue.status()).workers > 0


async def _offered(queue: Queue, rate: float) -> list[float]:
    asked: dict[int, float] = {}
    waits: list[float] = []
    count = round(rate * SECONDS)

    async def read() -> None:
        while len(waits) < count:
            for delivery in await queue.replies.take("bench", 100, 0.5):
                to = Reply.from_fields(delivery.fields).to
                assert isinstance(to, Chat)
                waits.append(time.monotonic() - asked[to.chat])
                await queue.replies.finish(delivery.id)

    reader, began, requests = asyncio.create_task(read()), time.monotonic(), cycle(REQUESTS)
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        asked[number] = time.monotonic()
        job = Job(next(requests), Chat(number), "en", time.time() + 600)
        await queue.submit(job, f"{rate}/{number}")
    await reader
    return waits


async def by_length() -> Points:
    """Megabytes of memory of the server, by number of waiting jobs."""
    points: Points = []
    async with stage() as here:
        redis = connect(here.store.url)
        queue = Queue(redis, PREFIX)
        await queue.prepare()
        for length in LENGTHS:
            for number in range(int(points[-1][0]) if points else 0, length):
                job = Job(REQUESTS[number % len(REQUESTS)], Chat(number), "en", time.time() + 600)
                await queue.submit(job, f"idempotency_key{number}", f"tg:{number}")
            memory: Any = await redis.info("memory")
            points.append((length, memory["used_memory"] / 1e6))
        await redis.aclose()
    print(f"{points[-1][0]:.0f} jobs wait in {points[-1][1] - points[0][1]:.1f} MB")
    return points


def draw(file: Path, rows: Points, load: list[tuple[float, float, float]], length: Points) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (first, second, third) = plt.subplots(1, 3, figsize=(12, 3.4))
    first.plot(*zip(*rows, strict=True), "o-")
    first.set(xscale="log", xlabel="rows", ylabel="poems a second", title="one process, two cores")
    rates, half, most = zip(*load, strict=True)
    second.plot(rates, half, "o-", label="p50")
    second.plot(rates, most, "o-", label="p95")
    second.set(xlabel="offered poems a second", ylabel="seconds to the answer", title="one worker", yscale="log")
    second.legend()
    third.plot(*zip(*length, strict=True), "o-")
    third.set(xlabel="jobs that wait", ylabel="MB", title="the server's memory", ylim=0)
    for axes in (first, second, third):
        axes.grid(alpha=0.3)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=80)


def measure(plot: Path | None) -> dict[str, Any]:
    rows, load, length = by_rows(Poet.load()), asyncio.run(by_load()), asyncio.run(by_length())
    if plot is not None:
        draw(plot, rows, load, length)
    return {"poems_per_s_by_rows": rows, "seconds_by_load": load, "mb_by_jobs": length}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, help="draw it here")
    print(json.dumps(measure(parser.parse_args().plot)))


if __name__ == "__main__":
    main()
