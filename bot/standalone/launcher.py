"""``make run``: runs store, worker, trainer and bot on this machine in one terminal until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import aiohttp

from bot.http.listening import explain_listen_error
from bot.settings import BotSettings
from bot.standalone.redis_server import RedisServer, RedisServerError
from bot.standalone.supervisor import FailedError, Program, ServiceKeeper, SupervisedService, print_line
from engine.contract.arguments import ArgumentParser
from engine.contract.lock import HeldError, locked
from engine.contract.settings import SettingError

DATA_FOLDER = Path("var") / "valkey"
TELEGRAM_SECONDS = 3.0
"""How long to wait for the connection to Telegram before printing the address."""
WATCH_SECONDS = 0.5
"""Interval between checks of the store."""


class Store:
    """The embedded server as a supervised service."""

    name = "store"

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def start(self) -> None:
        try:
            fresh = await asyncio.to_thread(self._server.start)
        except RedisServerError as error:
            raise FailedError(str(error)) from error
        print_line(self.name, f"{'started' if fresh else 'still running, used again'}, data in {self._server.folder}")

    async def ended(self) -> int:
        while True:
            if not self._server.listens():
                return await asyncio.to_thread(self._server.exit_code)
            await asyncio.sleep(WATCH_SECONDS)

    async def stop(self, hurry: asyncio.Event) -> None:  # noqa: ARG002  (it has nothing to drain)
        await asyncio.to_thread(self._server.stop)


async def run_launcher(environ: Mapping[str, str]) -> int:
    """Returns the exit code. Raises SettingError, FailedError."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: hurry.set() if stop.is_set() else stop.set())
    settings = BotSettings.read(environ)
    own_store = "redis_url" not in settings.model_fields_set
    with _locked_folder(DATA_FOLDER) if own_store else contextlib.nullcontext():
        return await _run_services(environ, settings, RedisServer(DATA_FOLDER) if own_store else None, stop, hurry)


async def _run_services(
    environ: Mapping[str, str],
    settings: BotSettings,
    store: RedisServer | None,
    stop: asyncio.Event,
    hurry: asyncio.Event,
) -> int:
    """``stop`` is set by Ctrl-C, ``hurry`` by another one."""
    port = _free_port(settings.http_host, settings.http_port)
    child_environ = {
        **environ,
        "REDIS_URL": settings.redis_url if store is None else store.url,
        "HTTP_PORT": str(port),
    }
    services: list[SupervisedService] = [] if store is None else [Store(store)]
    services += [Program(name, *arguments, environ=child_environ) for name, arguments in _programs()]
    keepers: list[ServiceKeeper] = []
    try:
        for service in services:
            if stop.is_set():
                break
            keepers.append(ServiceKeeper(service, hurry))
            await keepers[-1].start()
        return await _wait_until_stopped(
            keepers, stop, _base_url(settings, port), settings.telegram_bot_token is not None
        )
    finally:
        stop.set()
        # The bot first, so that nothing more comes in; then the worker with its last batch; then the store.
        for keeper in reversed(keepers):
            await keeper.stop()
        print("all stopped", flush=True)


@contextlib.contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    """Lock ``folder``: of two launchers that share a store, each would stop it for the other."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(folder / "launcher.lock"):
            yield
    except HeldError as error:
        raise FailedError(
            f"Another make run (process {error.holder}) is running in this folder: stop it first, or start this one in "
            "another folder."
        ) from error
    except OSError as error:
        raise FailedError(
            f"{error.filename or folder}: {error.strerror or error}; the store needs a writable folder {folder}: "
            "start in another folder, or set REDIS_URL to your own server."
        ) from error


def _programs() -> list[tuple[str, tuple[str, ...]]]:
    """The programs to run; the trainer only if the training extra is installed (checked without importing it)."""
    trains = all(importlib.util.find_spec(name) is not None for name in ("paddle", "onnx", "matplotlib"))
    trainer = [("trainer", ("-m", "train", "worker"))] if trains else []
    return [("worker", ("-m", "engine")), *trainer, ("bot", ("-m", "bot"))]


async def _wait_until_stopped(keepers: list[ServiceKeeper], stop: asyncio.Event, url: str, chats: bool) -> int:
    """Wait for Ctrl-C. FailedError: a program keeps failing."""
    tasks = [keeper.task for keeper in keepers if keeper.task is not None]
    stopped = asyncio.create_task(stop.wait())
    greeting = asyncio.create_task(_greet(url, chats))
    await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    greeting.cancel()
    stopped.cancel()
    for task in tasks:
        if task.done():
            task.result()
    return 0


async def _greet(url: str, chats: bool) -> None:
    """Print the address once poems can be written, and report the connection to Telegram."""
    async with aiohttp.ClientSession() as session:
        await _until(session, f"{url}/readyz", status="ready")
        on = chats and await _until(session, f"{url}/healthz", TELEGRAM_SECONDS, telegram="on")
        chat = "The Telegram bot is on." if on else "Telegram cannot be reached yet; the bot keeps trying."
        if not chats:
            chat = "No TELEGRAM_BOT_TOKEN is set: HTTP only."
        body = '{"mode":"acrostic","text":"春风十里"}'
        print(
            f"\nReady on {url}. {chat} Ctrl-C stops everything.\nA poem: curl -s {url}/api/poems -d '{body}'\n",
            flush=True,
        )
        if chats and not on and await _until(session, f"{url}/healthz", telegram="on"):
            print("The Telegram bot is on.", flush=True)


async def _until(session: aiohttp.ClientSession, url: str, seconds: float | None = None, **wanted: str) -> bool:
    """Whether the JSON at ``url`` has the ``wanted`` fields within so many seconds (None: wait for ever)."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(aiohttp.ClientError, ValueError):
                    async with session.get(url) as answer:
                        if wanted.items() <= (await answer.json()).items():
                            return True
                await asyncio.sleep(0.2)
    return False


def _free_port(host: str, port: int) -> int:
    """``port`` if it is free; for 0 any free port. Raises SettingError, FailedError."""
    try:
        with socket.create_server((host, port), reuse_port=False) as server:
            return int(server.getsockname()[1])
    except OSError as error:
        why = explain_listen_error(error, host, port)
        raise why if isinstance(why, SettingError) else FailedError(str(why)) from error


def _base_url(settings: BotSettings, port: int) -> str:
    host = "127.0.0.1" if settings.http_host in ("0.0.0.0", "::") else settings.http_host  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def main() -> int:
    ArgumentParser(
        prog="python -m bot.standalone",
        description="Bot, worker, trainer (where installed) and an embedded Redis-protocol server. Ctrl-C stops all.",
        epilog="example: TELEGRAM_BOT_TOKEN=123456:ABC-def HTTP_PORT=8081 python -m bot.standalone",
    ).parse_args()
    try:
        return asyncio.run(run_launcher(os.environ))
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    except FailedError as error:
        print(error, file=sys.stderr)
        return error.code
