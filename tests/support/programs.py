"""Programs started for a test, and ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp

from tests.support.fake_bot_api import TOKEN
from tests.support.fake_telegram import FakeTelegram

ROOT = Path(__file__).parents[2]


class RunningProgram:
    """``python WORDS`` in the folder of its log, without the tester's environment or ``.env``."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    @classmethod
    async def start(cls, log: Path, *words: str, environ: Mapping[str, str]) -> RunningProgram:
        with log.open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *words,
                cwd=log.parent,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        return cls(process, log)

    def output(self) -> str:
        return self._log.read_text("utf-8", errors="replace")

    async def says(self, words: str) -> None:
        """Wait until ``words`` are in its output."""
        while words not in self.output():
            assert self._process.returncode is None, self.output()
            await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """``kill -9``."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; returns the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self._process.wait()

    async def ended(self) -> int:
        return await self._process.wait()


@contextlib.asynccontextmanager
async def program(log: Path, *words: str, environ: Mapping[str, str]) -> AsyncIterator[RunningProgram]:
    started = await RunningProgram.start(log, *words, environ=environ)
    try:
        yield started
    finally:
        await started.kill()


def child_running(pid: int, words: str) -> int:
    """The process ID of the child that runs ``python -m WORDS …``; LookupError if there is none."""
    wanted = ["-m", *words.split()]
    for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{word}/cmdline").read_text("utf-8").split("\0")[1:][: len(wanted)] == wanted:
                return int(word)
    raise LookupError(words)


def environment(redis_url: str, telegram: FakeTelegram | None, **more: str) -> dict[str, str]:
    """The environment of all programs of a test, without limits per user. ``telegram`` None: a bot that serves HTTP
    only."""
    token = {} if telegram is None else {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_BASE_URL": telegram.base_url}
    return {
        "REDIS_URL": redis_url,
        **token,
        "HTTP_PORT": str(free_port()),
        "USER_PER_MINUTE": "0",
        "USER_PER_DAY": "0",
        **more,
    }


# Below the ports that the kernel uses for outgoing connections, and different in each test process.
_ports = itertools.count(10_000 + 1_000 * (os.getpid() % 20))


def free_port() -> int:
    """A port that nothing else takes before the program that gets it; never the same twice."""
    for port in _ports:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("unreachable")


async def answers(url: str, status: int = 200) -> None:
    """Wait until ``url`` answers with ``status``."""
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as response:
                    if response.status == status:
                        return
            await asyncio.sleep(0.05)


def resident_bytes(pid: int) -> int:
    """Memory that a process uses (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
