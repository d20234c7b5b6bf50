"""How well two workers share one host: two with a core each against one, and two networks alone against one.

Real workers process a real queue. The last line is JSON.
    python -m tests.bench.workers
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import time

import numpy as np

from engine.contract import PoemRequest
from engine.contract.queue.messages import Chat, Job
from engine.contract.queue.store import Queue, connect
from engine.generation.poet import MAX_SEQUENCES, RELEASED
from engine.model.checkpoint import load
from engine.model.folder import read_part
from engine.model.onnx_backend import DECODER, OnnxBackend
from tests.support.stage import WORKER, stage
from tests.support.waiting import until

JOBS, WARM_UP, COUNTED = 2400, 300, 1800
SECONDS = 6.0
PREFIX = "bench:"


async def poems_a_second(workers: int) -> float:
    """Throughput of so many workers with one core each on a queue that is never empty."""
    async with stage(THREADS="1") as here:
        redis = connect(here.store.url)
        queue = Queue(redis, PREFIX)
        await queue.prepare()
        for number in range(JOBS):
            request = PoemRequest("acrostic", "春风十里", seed=number, candidates=1)
            await queue.submit(Job(request, Chat(1), "en", time.time() + 3600), f"idempotency_key{number}")
        async with contextlib.AsyncExitStack() as stack:
            for core in range(workers):
                program = await stack.enter_async_context(here.program(f"worker{core}", *WORKER, KEY_PREFIX=PREFIX))
                os.sched_setaffinity(program.pid, {core})
            began = await _replies(queue, WARM_UP)
            took = await _replies(queue, WARM_UP + COUNTED) - began
        await redis.aclose()
    return COUNTED / took


async def _replies(queue: Queue, count: int) -> float:
    await until(lambda: _has(queue, count))
    return time.monotonic()


async def _has(queue: Queue, count: int) -> bool:
    return await queue.replies.length() >= count


def bare_steps_a_second(processes: int) -> float:
    """Throughput of so many processes that only run the network, with one core each."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return sum(pool.map(_bare, range(processes), chunksize=1))


def _bare(core: int) -> float:
    os.sched_setaffinity(0, {core})
    backend = OnnxBackend(read_part(RELEASED, DECODER), load(RELEASED), 1)
    state, ids = backend.start(MAX_SEQUENCES), np.zeros(MAX_SEQUENCES, np.int64)
    time.sleep(2)  # the others load meanwhile
    began, steps = time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        _, state = backend.step(ids, state)
        steps += 1
    return steps / (time.monotonic() - began)


def measure() -> dict[str, float]:
    one, two = (asyncio.run(poems_a_second(workers)) for workers in (1, 2))
    bare_one, bare_two = bare_steps_a_second(1), bare_steps_a_second(2)
    print(f"workers with a core each: one {one:.0f} poems/s, two {two:.0f}; bare networks: x {bare_two / bare_one:.2f}")
    gain, bare = two / one, bare_two / bare_one
    return {"two_workers_over_one": gain, "two_bare_over_one": bare, "workers_share_of_bare": gain / bare}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(json.dumps({name: round(value, 3) for name, value in measure().items()}))


if __name__ == "__main__":
    main()
