"""The real programs, a fake Bot API and an embedded server, for scripts run by hand: transcripts, benchmarks, soak
tests."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bot.standalone.redis_server import RedisServer
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import RunningProgram, answers, environment, program

BOT, WORKER = ("-m", "bot"), ("-m", "engine")


@dataclass(frozen=True)
class Stage:
    """``environ``: the environment of every program; ``folder``: for their logs."""

    telegram: FakeTelegram
    store: RedisServer
    environ: dict[str, str]
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environ['HTTP_PORT']}"

    @contextlib.asynccontextmanager
    async def program(self, name: str, *words: str, **environ: str) -> AsyncIterator[RunningProgram]:
        async with program(self.folder / f"{name}.log", *words, environ={**self.environ, **environ}) as started:
            yield started

    async def ready(self) -> None:
        """Wait until Redis answers and a worker is alive."""
        await answers(f"{self.url}/readyz")


@contextlib.asynccontextmanager
async def stage(telegram: FakeTelegram | None = None, /, **environ: str) -> AsyncIterator[Stage]:
    """Everything but the programs, without limits per user."""
    telegram = telegram or FakeTelegram()
    await telegram.start()
    with tempfile.TemporaryDirectory(prefix="poem-stage-") as folder:
        store = RedisServer(Path(folder) / "store")
        store.start()
        try:
            yield Stage(telegram, store, environment(store.url, telegram, **environ), Path(folder))
        finally:
            store.stop()
            await telegram.stop()
