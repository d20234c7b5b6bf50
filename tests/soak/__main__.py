"""``make soak``: every fault in its long form. The last line is JSON with an object per fault.

python -m tests.soak [NAME …]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial

from tests.soak import (
    api,
    bots,
    connections,
    ends,
    garbage,
    growth,
    limits,
    messages,
    queries,
    stalls,
    standalone,
    store,
    telegram,
    training,
    updates,
    workers,
)
from tests.soak.harness import SoakResult

SOAKS: dict[str, Callable[[], Awaitable[SoakResult]]] = {
    "workers": workers.killed,
    "polling": partial(bots.killed, "polling"),
    "webhook": partial(bots.killed, "webhook"),
    "store": store.killed,
    "gone": store.gone,
    "troubled": store.suspended_full_and_without_groups,
    "poison": workers.crashing_jobs,
    "clocks": workers.wrong_clocks,
    "orphans": workers.killed_while_all_busy,
    "telegram": telegram.faulty,
    "garbage": garbage.answered,
    "stalled": stalls.stalled,
    "stopped-worker": stalls.worker,
    "flood": limits.flood,
    "dear": limits.expensive_poems,
    "full": limits.full,
    "api": api.fuzzed,
    "connections": connections.idle,
    "ends": ends.stopped,
    "growth": growth.measure,
    "updates": updates.shuffled,
    "two-bots": updates.two_bots,
    "messages": messages.fuzzed,
    "queries": queries.fuzzed,
    "make-run": standalone.killed,
    "training": training.killed,
    "two-make-runs": standalone.second,
}


async def run(names: list[str]) -> list[SoakResult]:
    found = []
    for name in names:
        began = time.monotonic()
        found.append(await SOAKS[name]())
        print(f"{name}: {json.dumps(found[-1].row())} in {time.monotonic() - began:.0f} s", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(SOAKS), metavar="NAME", help=f"of {', '.join(SOAKS)}")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in SOAKS]:
        parser.error(f"there is no {unknown[0]}: {', '.join(SOAKS)}")
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    found = asyncio.run(run(options.names))
    print(json.dumps([figures.row() for figures in found]))


if __name__ == "__main__":
    main()
