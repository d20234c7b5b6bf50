"""``python -m engine dead``: lists dead letters (jobs and replies that were given up), retries or drops them."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime

from redis.exceptions import RedisError

from engine.contract.check import CheckRequest
from engine.contract.queue.messages import Job, PendingRequest, Reply, Request
from engine.contract.queue.store import Queue, connect
from engine.contract.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``dead list | retry ID | drop ID [--json]``."""
    parser.add_argument("action", choices=("list", "retry", "drop"))
    parser.add_argument("id", nargs="?", help="the ID that `list` shows")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Returns the exit code. ``args``: as parsed by ``add_arguments``."""
    if (args.action == "list") != (args.id is None):
        return _complain("Use `dead list`, `dead retry ID` or `dead drop ID`.", 2)
    try:
        return asyncio.run(_run(args.action, args.id, args.json, settings))
    except RedisError as error:
        return _complain(f"Redis does not answer ({error}); check REDIS_URL.", 1)


async def _run(action: str, entry: str | None, as_json: bool, settings: Settings) -> int:
    redis = connect(settings.redis_url)
    try:
        queue = Queue(redis, settings.key_prefix)
        dead, replies = await queue.dead_letters.jobs(), await queue.dead_letters.replies()
        if entry is None:
            _print_list(dead, replies, as_json)
            return 0
        jobs = {dead_id: job for dead_id, job, _ in dead}
        if entry not in jobs:
            return _complain(f"There is no dead letter {entry}; `dead list` shows them all.", 2)
        job = jobs[entry]
        if action == "drop":
            done = await queue.dead_letters.drop(entry)
        elif entry in replies and not isinstance(replies[entry].to, PendingRequest):
            done = await queue.dead_letters.retry(entry, replies[entry])
        elif job is None or isinstance(job.to, PendingRequest):
            return _complain(f"Nobody is waiting for job {entry} any more; `dead drop {entry}` deletes it.", 2)
        else:
            done = await queue.dead_letters.retry(entry, job, settings.job_deadline)
        print(json.dumps({"id": entry, "action": action, "done": done}) if as_json else f"{action}: {entry}")
        return 0
    finally:
        await redis.aclose()


def _request_summary(request: Request | None) -> str:
    if request is None:
        return "text"
    return "check" if isinstance(request, CheckRequest) else f"{request.mode} {request.form}"


def _print_list(dead: list[tuple[str, Job | None, str]], replies: dict[str, Reply], as_json: bool) -> None:
    mail: dict[str, Job | Reply] = {**replies, **{entry: job for entry, job, _ in dead if job is not None}}
    requests = {entry: each.request for entry, each in mail.items()}
    rows = [
        {
            "id": entry,
            "died": _added_at(entry),
            "why": why,
            "request": None if (request := requests.get(entry)) is None else request.to_json(),
        }
        for entry, _, why in dead
    ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        asked = _request_summary(requests[row["id"]]) if row["id"] in requests else "unreadable"
        print(f"{row['id']}  {row['died']}  {asked}  {row['why']}")
    if not rows:
        print("No dead letters.")


def _added_at(entry: str) -> str:
    """When an entry was added: its ID contains the time, unless it was set by hand."""
    try:
        return datetime.fromtimestamp(int(entry.split("-")[0]) / 1000, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return "unknown"


def _complain(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code
