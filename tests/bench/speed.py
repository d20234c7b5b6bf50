"""Speed of one process, compared with the tutorial's loop, the Paddle backend, and the network alone.

Both sides of every ratio are run alternately. The last line is JSON.
    python -m tests.bench.speed [--model DIR] [--threads N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.contract import PoemRequest
from engine.generation.poet import RELEASED, Poet
from engine.model.backend import Backend
from engine.model.checkpoint import Checkpoint, load
from engine.model.folder import read_part
from engine.model.onnx_backend import DECODER, OnnxBackend
from engine.model.paddle_backend import PaddleBackend
from tests.bench.tutorial import TorchMissingError, Tutorial

STEPS, CROWD, ROUNDS = 24, 256, 5
"""A 五绝 is START, 20 characters and 4 punctuation marks, of which 24 are written."""

PAUSE = 0.3


def measure(folder: Path = RELEASED, threads: int | None = None) -> dict[str, float]:
    model = load(folder)
    poet = Poet.load(folder, "cpu", threads)
    result: dict[str, float] = {}
    try:
        result |= against_the_tutorial(poet, Tutorial(model.shape, len(model.vocabulary)))
    except TorchMissingError as missing:
        print(missing)
    result |= against_the_bare_network(poet, OnnxBackend(read_part(folder, DECODER), model, threads))
    result |= against_paddle(poet, folder, model, threads)
    return result


def against_the_tutorial(poet: Poet, tutorial: Tutorial) -> dict[str, float]:
    """One 五绝, and many requests with one candidate each."""
    ones = in_turn(lambda: tutorial.write(STEPS), lambda: poet.write(quatrains(1)), 6, 8)
    alone, ours_alone = (statistics.median(times) for times in ones)
    print(f"one 五绝: tutorial {alone * 1e3:.1f} ms, ours {ours_alone * 1e3:.1f} ms (medians of 6 times 8)")
    cold = in_turn(lambda: tutorial.write(STEPS), lambda: poet.write(quatrains(1)), 20)
    print(
        "  after a pause each: tutorial {:.1f} ms, ours {:.1f} ms".format(*(1e3 * statistics.median(t) for t in cold))
    )
    few = 16
    crowd = in_turn(lambda: [tutorial.write(STEPS) for _ in range(few)], lambda: poet.write(quatrains(CROWD)), ROUNDS)
    slow, fast = few / statistics.median(crowd[0]), CROWD / statistics.median(crowd[1])
    print(f"{CROWD} requests: tutorial {slow:.1f} poems/s (from {few}), ours {fast:.1f} poems/s")
    return {"one_quatrain_tutorial_over_ours": alone / ours_alone, "crowd_ours_over_tutorial": fast / slow}


def against_the_bare_network(poet: Poet, backend: Backend, rows: int = 64) -> dict[str, float]:
    """Tokens/s with 64 rows, and one 五绝: with plans, masks, sampling and bookkeeping, and as many steps of
    the network alone."""
    requests = [PoemRequest("continue", "春眠不觉晓", "五律", seed=i, candidates=1) for i in range(rows)]
    steps = 8 * 6

    def bare() -> None:
        state, ids = backend.start(rows), np.zeros(rows, np.int64)
        for _ in range(steps):
            _, state = backend.step(ids, state)

    with_all, without = (statistics.median(t) for t in in_turn(lambda: poet.write(requests), bare, 2 * ROUNDS))
    tokens = rows * steps
    print(f"{rows} rows: {tokens / with_all:.0f} tokens/s, the bare network {tokens / without:.0f} tokens/s")
    result = {"tokens_per_s_64_rows": tokens / with_all, "with_all_over_bare": without / with_all}

    def bare_one() -> None:
        state, ids = backend.start(1), np.zeros(1, np.int64)
        for _ in range(STEPS):
            _, state = backend.step(ids, state)

    one, bare_alone = (statistics.median(t) for t in in_turn(lambda: poet.write(quatrains(1)), bare_one, 6, 8))
    print(f"one 五绝: {one * 1e3:.1f} ms, {STEPS} bare steps {bare_alone * 1e3:.1f} ms")
    return result | {"bare_steps_over_one_quatrain": bare_alone / one}


def against_paddle(poet: Poet, folder: Path, model: Checkpoint, threads: int | None) -> dict[str, float]:
    """The same requests with the Paddle backend on this CPU, float32."""
    other = Poet.load(folder, backend=PaddleBackend(model, "cpu", threads))
    few = CROWD // 4
    times = in_turn(lambda: poet.write(quatrains(CROWD)), lambda: other.write(quatrains(few)), 3)
    ours, paddle = CROWD / statistics.median(times[0]), few / statistics.median(times[1])
    print(f"{CROWD} requests: ours {ours:.1f} poems/s, Paddle on the CPU {paddle:.1f} poems/s (from {few})")
    return {"crowd_ours_over_paddle": ours / paddle}


def quatrains(count: int) -> list[PoemRequest]:
    return [PoemRequest("acrostic", "春风十里", seed=i, candidates=1) for i in range(count)]


def in_turn(
    first: Callable[[], object], second: Callable[[], object], rounds: int, repeats: int = 1
) -> tuple[list[float], list[float]]:
    """Seconds of each: one so many times, then the other. With more than one repeat the first of each round, which
    finds the caches full of the other's weights, does not count; nor does the first round.

    Between them a pause: the threads of one framework go on spinning for a while after its last product.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for run, kept in zip((first, second), times, strict=True):
            time.sleep(PAUSE)
            if repeats > 1:
                run()
            for _ in range(repeats):
                began = time.perf_counter()
                run()
                if number:
                    kept.append(time.perf_counter() - began)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=RELEASED)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    result = measure(options.model, options.threads)
    print(json.dumps({name: round(value, 3) for name, value in result.items()}))


if __name__ == "__main__":
    main()
