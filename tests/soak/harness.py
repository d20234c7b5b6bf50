"""What all soak tests share: simulated users, programs that are killed and restarted, and the count afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from redis.asyncio import Redis

from engine.contract.queue.store import Queue, connect
from engine.contract.queue.stream import Stream
from tests.support.fake_poet import BUG, KILLS, REFUSED
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import RunningProgram
from tests.support.stage import BOT, WORKER, Stage
from tests.support.tiny_model import CHARACTERS

HEADS = [character for character in CHARACTERS if character not in (KILLS, BUG, REFUSED)]
QUICK_WORKER = ("-m", "tests.support.fake_poet")
"""A worker with a stub of the poet."""
SECRET = "soak-secret"
WEBHOOK = {"WEBHOOK_URL": "https://example.org", "WEBHOOK_SECRET": SECRET}
LONG_DEADLINE = {"JOB_DEADLINE": "3600", "CANDIDATES": "1"}
"""No job passes its deadline, so that no answer is an apology."""

PATIENCE = 60.0
"""Seconds without any answer after which the missing ones count as lost."""

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class SoakResult:
    """``injected``: number of faults; ``lost``: users without an answer; ``duplicated``: surplus answers; ``more``:
    other figures."""

    fault: str
    injected: int
    jobs: int
    lost: int
    duplicated: int
    more: dict[str, float] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        return {
            "fault": self.fault,
            "injected": self.injected,
            "jobs": self.jobs,
            "lost": self.lost,
            "duplicated": self.duplicated,
            **{name: round(value, 3) for name, value in self.more.items()},
        }


class SimulatedUsers:
    """Users who each request one acrostic with a head of their own, in a chat of their own."""

    def __init__(
        self, telegram: FakeTelegram, send: Send | None = None, tail: str = "", first: int = 1_000_000
    ) -> None:
        self._telegram = telegram
        self._send = send or telegram.put
        self._tail = tail
        self.first = first
        self._next = first
        self._at: dict[int, float] = {}
        self.asked: dict[int, str] = {}

    async def ask(self, count: int = 1, every: float = 0.0) -> None:
        """``every``: seconds between two requests."""
        for _ in range(count):
            chat, self._next = self._next, self._next + 1
            head = HEADS[chat % len(HEADS)]
            self.asked[chat] = head
            self._at[chat] = time.monotonic()
            await self._send(self._telegram.update(f"/acrostic {head}{self._tail}", chat=chat, user=chat))
            await asyncio.sleep(every)

    async def ask_until(self, done: asyncio.Event, every: float) -> None:
        while not done.is_set():
            await self.ask(every=every)

    async def answered(self) -> None:
        """Wait until everybody has an answer, or none arrive any more; the missing ones count as lost."""
        while missing := self.asked.keys() - self._answers().keys():
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._telegram.until(lambda: bool(missing & self._answers().keys()))
            except TimeoutError:
                return

    def expect_no_answer(self, chats: set[int]) -> None:
        """Do not count these chats."""
        for chat in chats:
            del self.asked[chat]

    def waits(self) -> dict[int, float]:
        """Seconds until the first answer, in the order of the requests."""
        answered = {sent.chat: sent.at for sent in reversed(self._telegram.sent)}
        return {chat: answered[chat] - self._at[chat] for chat in self.asked if chat in answered}

    def _answers(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for sent in self._telegram.sent:
            if sent.chat in self.asked:
                found.setdefault(sent.chat, []).append(sent.plain)
        return found

    def figures(self, fault: str, injected: int, **more: float) -> SoakResult:
        """``without_poem``: users whose answer was an apology; a poem for somebody else counts as lost."""
        answers = self._answers()
        poems = sum(any(text.startswith(self.asked[chat]) for text in texts) for chat, texts in answers.items())
        lost = len(self.asked) - len(answers)
        twice = sum(len(texts) - 1 for texts in answers.values())
        apologies = len(self.asked) - lost - poems
        return SoakResult(fault, injected, len(self.asked), lost, twice, {**more, "without_poem": apologies})


class ProgramGroup:
    """Programs of one kind that are killed and restarted."""

    def __init__(self, here: Stage, name: str, words: tuple[str, ...], **environ: str) -> None:
        self._here = here
        self._name = name
        self._words = words
        self._environ = environ
        self.members: list[RunningProgram] = []

    async def start_more(self, count: int = 1) -> None:
        for _ in range(count):
            log = self._here.folder / f"{self._name}.log"
            environ = {**self._here.environ, **self._environ}
            self.members.append(await RunningProgram.start(log, *self._words, environ=environ))

    async def kill(self, member: RunningProgram) -> None:
        """``kill -9``, and start another."""
        await member.kill()
        await self._replace(member)

    async def stop(self, member: RunningProgram) -> int:
        """SIGTERM, and start another; returns the exit code."""
        code = await member.end()
        await self._replace(member)
        return code

    async def restart_ended(self) -> int:
        """Restart programs that have ended, as a supervisor does; returns how many there were."""
        dead = [member for member in self.members if member.has_ended]
        for member in dead:
            await self._replace(member)
        return len(dead)

    async def _replace(self, member: RunningProgram) -> None:
        self.members.remove(member)
        await self.start_more()

    async def end(self) -> None:
        for member in self.members:
            await member.kill()

    def output(self) -> str:
        """The output of all members, former ones included."""
        return self.members[0].output()


@contextlib.asynccontextmanager
async def program_group(
    here: Stage, name: str, words: tuple[str, ...], count: int = 1, **environ: str
) -> AsyncIterator[ProgramGroup]:
    found = ProgramGroup(here, name, words, **environ)
    try:
        await found.start_more(count)
        yield found
    finally:
        await found.end()


@contextlib.asynccontextmanager
async def bot_and_workers(
    here: Stage, worker: tuple[str, ...] = WORKER, workers: int = 1
) -> AsyncIterator[tuple[ProgramGroup, ProgramGroup]]:
    """Both, once they are ready."""
    async with program_group(here, "worker", worker, workers) as worker_group, program_group(here, "bot", BOT) as bots:
        await here.ready()
        yield bots, worker_group


@contextlib.asynccontextmanager
async def open_queue(url: str) -> AsyncIterator[tuple[Redis, Queue]]:
    """The queue of the store at ``url``, for inspection."""
    redis = connect(url)
    try:
        yield redis, Queue(redis, "poem:")
    finally:
        await redis.aclose()


async def in_flight(redis: Redis, stream: Stream, pid: int) -> int:
    """Number of entries that a process has in flight, or had when it was killed; its ID is in its consumer's name."""
    consumers = await redis.xinfo_consumers(stream.key, stream.group)
    return sum(int(consumer["pending"]) for consumer in consumers if f"-{pid}-" in consumer["name"])


class WebhookSender:
    """Telegram's side of a webhook: every update is sent until it is accepted, many at the same time."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/telegram"
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self._tasks: set[asyncio.Task[None]] = set()
        self.tries: Counter[int] = Counter()

    async def bring(self, update: dict[str, Any]) -> None:
        task = asyncio.create_task(self._bring(update))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring(self, update: dict[str, Any]) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                self.tries[update["update_id"]] += 1
                async with self._http.post(self._url, json=update, headers=headers) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.2)

    async def all_taken(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()


def moments(count: int, shortest: float, longest: float) -> Iterator[float]:
    """Random waits, the same in every run."""
    random_ = random.Random(7)
    for _ in range(count):
        yield random_.uniform(shortest, longest)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used so far, at a hundred ticks per second."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100
