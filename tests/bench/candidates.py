"""A 七律 chosen from 64 candidates: seconds, and with ``--against`` beside another checkout of this project in turn.

The last line is JSON.
    git worktree add ../before b8d54a4
    python -m tests.bench.candidates --against ../before
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]
ROUNDS = 6
POEMS = """
import time
from engine.contract import PoemRequest
from engine.poet import Poet

poet = Poet.load(device="cpu")
request = PoemRequest("continue", "月落乌啼霜满天", "七律", seed=1, candidates=64)
poet.write([request])
times = []
for _ in range(3):
    began = time.perf_counter()
    poet.write([request])
    times.append(time.perf_counter() - began)
print(min(times))
"""
"""A program that runs in every checkout that has candidates."""


def seconds(checkout: Path) -> float:
    """The best time of a few poems, in a separate process."""
    run = subprocess.run([sys.executable, "-c", POEMS], cwd=checkout, check=True, stdout=subprocess.PIPE, text=True)
    return float(run.stdout.splitlines()[-1])


def measure(against: Path | None) -> dict[str, float]:
    pairs = [(seconds(HERE), None if against is None else seconds(against)) for _ in range(ROUNDS)]
    ours = statistics.median(now for now, _ in pairs)
    print(f"a 七律 from 64 candidates: {ours:.3f} s")
    ratios = [now / before for now, before in pairs if before is not None]
    if not ratios:
        return {"seconds_of_64_candidates": ours}
    print("  in turn with the other checkout, now ÷ before:", " ".join(f"{ratio:.2f}" for ratio in ratios))
    return {"seconds_of_64_candidates": ours, "64_candidates_over_before": statistics.median(ratios)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    print(json.dumps({name: round(value, 3) for name, value in measure(parser.parse_args().against).items()}))


if __name__ == "__main__":
    main()
