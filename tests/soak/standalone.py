"""``make run``: its programs are killed one after the other, and a second one is started in its folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
from redis.exceptions import RedisError

from bot.standalone.redis_server import RedisServer
from engine.contract.queue.store import connect
from tests.soak.harness import LONG_DEADLINE, SimulatedUsers, SoakResult, in_flight, moments, open_queue
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import RunningProgram, answers, child_running, environment, free_port
from tests.support.store_process import store_pid
from tests.support.waiting import until

LAUNCHER = ("-m", "bot.standalone")
PROGRAMS = {"worker": "engine", "trainer": "train worker", "bot": "bot", "store": ""}
"""What Python runs in each; the store is not a Python program."""


@dataclass(frozen=True)
class LauncherRun:
    """A ready launcher in its own folder."""

    launcher: RunningProgram
    folder: Path
    environ: dict[str, str]
    store: RedisServer
    telegram: FakeTelegram

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environ['HTTP_PORT']}"

    def pid(self, name: str) -> int:
        return store_pid(self.store) if name == "store" else child_running(self.launcher.pid, PROGRAMS[name])

    async def is_back(self, name: str, before: int) -> bool:
        """Whether there is another process than ``before`` that serves."""
        try:
            assert not self.launcher.has_ended, self.launcher.output()
            pid = await asyncio.to_thread(self.pid, name)
            if pid == before:
                return False
            if name in ("worker", "trainer"):
                redis = connect(self.store.url)
                async with contextlib.aclosing(redis):
                    return any(f"-{pid}-" in each for each in await redis.zrange(f"poem:{name}s", 0, -1))
            async with aiohttp.ClientSession() as http, http.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except (LookupError, OSError, RedisError, aiohttp.ClientError):
            return False


@contextlib.asynccontextmanager
async def launcher_run(**environ: str) -> AsyncIterator[LauncherRun]:
    telegram = FakeTelegram()
    await telegram.start()
    with tempfile.TemporaryDirectory(prefix="poem-soak-") as folder:
        store = RedisServer(Path(folder) / "var" / "valkey")
        told = environment("", telegram, **{**LONG_DEADLINE, **environ})
        launcher = await RunningProgram.start(Path(folder) / "run.log", *LAUNCHER, environ=told)
        try:
            await launcher.says("Ready on")
            here = LauncherRun(launcher, Path(folder), told, store, telegram)
            await until(lambda: here.is_back("trainer", 0))
            yield here
        finally:
            await launcher.end(signal.SIGINT)
            await asyncio.to_thread(store.stop)
            await telegram.stop()


async def killed(kills: int = 20, every: float = 0.2, **environ: str) -> SoakResult:
    """Send a command every ``every`` seconds; kill randomly chosen programs, each a moment after the last one is
    back."""
    choose = random.Random(7)
    async with launcher_run(**environ) as here:

        async def strike() -> dict[str, float]:
            times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
            unacknowledged = 0
            for wait in moments(kills, 0.5, 3.0):
                await asyncio.sleep(wait)
                name = choose.choice(list(PROGRAMS))
                pid = await asyncio.to_thread(here.pid, name)
                os.kill(pid, signal.SIGKILL)
                killed_at = time.monotonic()
                if name == "bot":
                    async with open_queue(here.store.url) as (redis, queue):
                        unacknowledged += await in_flight(redis, queue.replies, pid)
                await until(partial(here.is_back, name, pid))
                times[name].append(time.monotonic() - killed_at)
            back = [seconds for each in times.values() for seconds in each]
            return {
                **{f"kills_of_{name}": len(each) for name, each in times.items()},
                "longest_until_back": max(back),
                "unacknowledged_at_kills": unacknowledged,
            }

        return await _asking(here, every, f"a program of make run killed, {1 / every:g} commands/s", kills, strike)


async def second(starts: int = 10, every: float = 0.2, **environ: str) -> SoakResult:
    """Start another launcher in the folder repeatedly, and once more after the first has ended."""
    async with launcher_run(**environ) as here:
        other = {**here.environ, "HTTP_PORT": str(free_port())}

        async def strike() -> dict[str, float]:
            refused = 0
            for _ in range(starts):
                program = await RunningProgram.start(here.folder / "second.log", *LAUNCHER, environ=other)
                refused += await program.ended() == 1 and f"(process {here.launcher.pid})" in program.output()
            return {"refused": refused}

        found = await _asking(here, every, "a second make run in the folder", starts, strike)
        assert await here.launcher.end(signal.SIGINT) == 0
        after = await RunningProgram.start(here.folder / "after.log", *LAUNCHER, environ=other)
        await after.says("Ready on")
        found.more["exit_code_of_the_next"] = await after.end(signal.SIGINT)
        return found


async def _asking(
    here: LauncherRun, every: float, fault: str, injected: int, strike: Callable[[], Awaitable[dict[str, float]]]
) -> SoakResult:
    """Run ``strike`` while users send commands."""
    users, done = SimulatedUsers(here.telegram), asyncio.Event()
    asking = asyncio.create_task(users.ask_until(done, every))
    more = await strike()
    done.set()
    await asking
    await answers(f"{here.url}/readyz")
    await users.answered()
    return users.figures(fault, injected, **more, launcher_ended=here.launcher.has_ended)
