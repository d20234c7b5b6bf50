"""``python -m engine dead``: look at the jobs that were given up, put one back, or forget it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime

from redis.exceptions import RedisError

from engine.contract.check import CheckRequest
from engine.contract.queue.messages import Job, Request, Waiter
from engine.contract.queue.store import Queue, connect
from engine.contract.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``dead list | retry ID | drop ID [--json]``."""
    parser.add_argument("action", choices=("list", "retry", "drop"))
    parser.add_argument("id", nargs="?", help="as `list` shows it")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Returns the exit code; ``args`` as ``add_arguments`` makes them."""
    if (args.action == "list") != (args.id is None):
        return _complain("Say `dead list`, `dead retry ID` or `dead drop ID`.", 2)
    try:
        return asyncio.run(_run(args.action, args.id, args.json, settings))
    except RedisError as error:
        return _complain(f"Redis does not answer ({error}); check REDIS_URL.", 1)


async def _run(action: str, entry: str | None, as_json: bool, settings: Settings) -> int:
    redis = connect(settings.redis_url)
    try:
        queue = Queue(redis, settings.key_prefix)
        dead = await queue.dead()
        if entry is None:
            _print_list(dead, as_json)
            return 0
        found = {name: job for name, job, _ in dead}
        if entry not in found:
            return _complain(f"There is no dead job {entry}; `dead list` shows those there are.", 2)
        job = found[entry]
        if action == "drop":
            done = await queue.drop(entry)
        elif job is None or isinstance(job.to, Waiter):
            return _complain(f"Nobody waits for job {entry} any more; `dead drop {entry}` forgets it.", 2)
        else:
            done = await queue.retry(entry, job.postponed(settings.job_deadline))
        print(json.dumps({"id": entry, "action": action, "done": done}) if as_json else f"{action}: {entry}")
        return 0
    finally:
        await redis.aclose()


def _asked(request: Request) -> str:
    return "check" if isinstance(request, CheckRequest) else f"{request.mode} {request.form}"


def _print_list(dead: list[tuple[str, Job | None, str]], as_json: bool) -> None:
    rows = [
        {
            "id": entry,
            "died": datetime.fromtimestamp(int(entry.split("-")[0]) / 1000, UTC).isoformat(timespec="seconds"),
            "why": why,
            "request": None if job is None else job.request.to_json(),
        }
        for entry, job, why in dead
    ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    for row, (_, job, _) in zip(rows, dead, strict=True):
        asked = "unreadable" if job is None else _asked(job.request)
        print(f"{row['id']}  {row['died']}  {asked}  {row['why']}")
    if not rows:
        print("No dead jobs.")


def _complain(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code
