"""``make run``: store, worker, trainer and bot on this machine, in one terminal, and all of them gone after Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import importlib.util
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from bot.settings import BotSettings
from bot.standalone.redis_server import Embedded, EmbeddedError
from engine.contract.settings import SettingError

DATA = Path("var") / "valkey"
DRAIN = 15.0
"""Seconds a program may take to end before it is killed."""
_SET_PARENT_DEATH_SIGNAL = 1


class FailedError(Exception):
    """One sentence for the terminal."""


class Child:
    """A program whose lines are shown with its name before them."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process
        self._shown = asyncio.create_task(self._show())

    @classmethod
    async def start(cls, name: str, *words: str, environ: Mapping[str, str]) -> Child:
        """Run ``python WORDS`` in a session of its own: Ctrl-C in the terminal is for the launcher."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *words,
            env={**environ, "PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        return cls(name, process)

    async def ended(self) -> int:
        """Its exit code, once its last line has been shown."""
        code = await self._process.wait()
        await self._shown
        return code

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ask it to end, and wait until it did; kill it when it takes too long or the user is in a hurry."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        ending, hurried = asyncio.create_task(self.ended()), asyncio.create_task(hurry.wait())
        done, _ = await asyncio.wait([ending, hurried], timeout=DRAIN, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if ending not in done:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await ending

    async def _show(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            print(f"{self.name:<7} | {line.decode(errors='replace').rstrip()}", flush=True)


async def run(environ: Mapping[str, str]) -> int:
    """Returns the exit code. Raises SettingError, EmbeddedError, FailedError."""
    settings = BotSettings.read(environ)
    port = _free_port(settings.http_host, settings.http_port)
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: hurry.set() if stop.is_set() else stop.set())
    store = None if "redis_url" in settings.model_fields_set else Embedded(DATA)
    if store is not None:
        fresh = await asyncio.to_thread(store.start)
        print(f"store   | {'started' if fresh else 'still running, used again'}, data in {DATA}", flush=True)
    child_environ = {
        **environ,
        "REDIS_URL": settings.redis_url if store is None else store.url,
        "HTTP_PORT": str(port),
        "PTB_TIMEDELTA": "true",
    }
    children: list[Child] = []
    try:
        for name, words in _programs():
            children.append(await Child.start(name, *words, environ=child_environ))
        return await _watch(children, stop, _where(settings, port), settings.telegram_bot_token is not None)
    finally:
        stop.set()
        # The bot first, so that nothing more comes in; then the worker with its last batch; then the store.
        for child in reversed(children):
            await child.stop(hurry)
        if store is not None:
            await asyncio.to_thread(store.stop)
        print("all stopped", flush=True)


def _programs() -> list[tuple[str, tuple[str, ...]]]:
    """The trainer too, where the training extra is installed; told without importing it."""
    trains = all(importlib.util.find_spec(name) is not None for name in ("paddle", "onnx", "matplotlib"))
    trainer = [("trainer", ("-m", "train", "worker"))] if trains else []
    return [("worker", ("-m", "engine")), *trainer, ("bot", ("-m", "bot"))]


async def _watch(children: list[Child], stop: asyncio.Event, where: str, chats: bool) -> int:
    ends = {asyncio.create_task(child.ended()): child for child in children}
    stopped = asyncio.create_task(stop.wait())
    greeting = asyncio.create_task(_greet(where, chats))
    await asyncio.wait([stopped, *ends], return_when=asyncio.FIRST_COMPLETED)
    greeting.cancel()
    if stop.is_set():
        return 0
    stopped.cancel()
    task, child = next((task, child) for task, child in ends.items() if task.done())
    raise FailedError(f"The {child.name} ended by itself (exit code {task.result()}); the reason stands above.")


async def _greet(where: str, chats: bool) -> None:
    """Say where to go once the first poem can be had."""
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{where}/readyz") as answer:
                    if answer.status == 200:
                        break
            await asyncio.sleep(0.2)
    chat = "The Telegram bot is on." if chats else "No TELEGRAM_BOT_TOKEN is set: HTTP alone."
    body = '{"mode":"acrostic","text":"春风十里"}'
    print(
        f"\nReady on {where}. {chat} Ctrl-C stops everything.\nA poem: curl -s {where}/api/poems -d '{body}'\n",
        flush=True,
    )


def _free_port(host: str, port: int) -> int:
    """``port`` if it can be had, any free one for 0. Raises FailedError."""
    try:
        with socket.create_server((host, port), reuse_port=False) as server:
            return int(server.getsockname()[1])
    except OSError as error:
        raise FailedError(
            f"Port {port} on {host} is taken: set HTTP_PORT to another, as in HTTP_PORT=8090 make run."
        ) from error


def _where(settings: BotSettings, port: int) -> str:
    host = "127.0.0.1" if settings.http_host in ("0.0.0.0", "::") else settings.http_host  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _die_with_parent() -> None:
    """Linux ends the child when the launcher dies without a chance to."""
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def main() -> int:
    argparse.ArgumentParser(
        prog="python -m bot.standalone.launcher",
        description="Bot, worker, trainer (where installed) and an embedded Redis-protocol server. Ctrl-C stops all.",
        epilog="example: TELEGRAM_BOT_TOKEN=123456:ABC-def HTTP_PORT=8081 python -m bot.standalone.launcher",
    ).parse_args()
    try:
        return asyncio.run(run(os.environ))
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    except (EmbeddedError, FailedError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
