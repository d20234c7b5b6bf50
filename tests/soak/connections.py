"""More idle connections than the bot has file descriptors: HTTP and Telegram must keep working."""

from __future__ import annotations

import asyncio
import contextlib
import time

import aiohttp

from tests.soak.harness import SimulatedUsers, SoakResult, program_group
from tests.support.programs import answers
from tests.support.stage import WORKER, stage

DESCRIPTORS = 1024
BOT_WITH_FEW_DESCRIPTORS = (
    "-c",
    f"import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}));"
    "runpy.run_module('bot', run_name='__main__', alter_sys=True)",
)


async def idle(
    connections: int = 1100, chats: int = 50, worker: tuple[str, ...] = WORKER, seconds: float = 8.0, **environ: str
) -> SoakResult:
    """Whenever the bot closes a connection, it is opened again."""
    async with (
        stage(**environ) as here,
        program_group(here, "bot", BOT_WITH_FEW_DESCRIPTORS),
        program_group(here, "worker", worker),
    ):
        await here.ready()
        stop, probes = asyncio.Event(), [0, 0]
        port = int(here.environ["HTTP_PORT"])
        holding = [asyncio.create_task(_hold(port, stop)) for _ in range(connections)]
        await asyncio.sleep(1.0)
        users = SimulatedUsers(here.telegram)
        asking = asyncio.create_task(users.ask(chats, seconds / chats))
        slowest = 0.0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            probes[not await _healthy(here.url)] += 1
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.05)
        await asking
        await users.answered()
        stop.set()
        await asyncio.gather(*holding)
        await answers(f"{here.url}/healthz")
        lines = sum(log.read_text("utf-8").count("\n") for log in here.folder.glob("bot*.log"))
        return users.figures(
            "idle connections", connections, probes=sum(probes), probes_failed=probes[1], slowest_probe=slowest,
            log_lines=lines,
        )  # fmt: skip


async def _healthy(url: str) -> bool:
    try:
        async with asyncio.timeout(5), aiohttp.ClientSession() as http, http.get(f"{url}/healthz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _hold(port: int, stop: asyncio.Event) -> None:
    """One silent connection after the other."""
    while not stop.is_set():
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            reading, stopped = asyncio.create_task(reader.read()), asyncio.create_task(stop.wait())
            await asyncio.wait([reading, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in (reading, stopped):
                task.cancel()
            await asyncio.gather(reading, stopped, return_exceptions=True)
            writer.close()
        # The time that an attacker on another machine would need.
        await asyncio.sleep(0.2)
