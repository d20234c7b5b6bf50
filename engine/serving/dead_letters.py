"""``python -m engine dead``: lists dead letters (jobs and replies that were given up), retries or drops them."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from redis.exceptions import RedisError

from engine.contract.check import CheckRequest
from engine.contract.queue.dead_letters import DeadLetter
from engine.contract.queue.messages import Job, PendingRequest, Reply
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
        letters = await queue.dead_letters.letters()
        if entry is None:
            _print_list(letters, as_json)
            return 0
        letter = next((letter for letter in letters if letter.id == entry), None)
        if letter is None:
            return _complain(f"There is no dead letter {entry}; `dead list` shows them all.", 2)
        if action == "drop":
            done = await queue.dead_letters.drop(entry)
        elif letter.mail is None or isinstance(letter.mail.to, PendingRequest):
            return _complain(f"Nobody is waiting for job {entry} any more; `dead drop {entry}` deletes it.", 2)
        else:
            done = await queue.dead_letters.retry(entry, letter.mail, settings.job_deadline)
        print(json.dumps({"id": entry, "action": action, "done": done}) if as_json else f"{action}: {entry}")
        return 0
    finally:
        await redis.aclose()


def _print_list(letters: Sequence[DeadLetter], as_json: bool) -> None:
    if as_json:
        print(json.dumps([_row(letter) for letter in letters], ensure_ascii=False))
        return
    for letter in letters:
        print(f"{letter.id}  {_added_at(letter.id)}  {_content(letter.mail)}  {letter.why}")
    if not letters:
        print("No dead letters.")


def _row(letter: DeadLetter) -> dict[str, object]:
    request = letter.mail and letter.mail.request
    return {
        "id": letter.id,
        "died": _added_at(letter.id),
        "why": letter.why,
        "request": request and request.to_json(),
    }


def _content(mail: Job | Reply | None) -> str:
    if mail is None:
        return "unreadable"
    if mail.request is None:
        return "text"
    return "check" if isinstance(mail.request, CheckRequest) else f"{mail.request.mode} {mail.request.form}"


def _added_at(entry: str) -> str:
    """When an entry was added: its ID contains the time, unless it was set by hand."""
    try:
        return datetime.fromtimestamp(int(entry.split("-")[0]) / 1000, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return "unknown"


def _complain(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code
