"""A worker changes its model between two batches, and only for one that loads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from engine.contract.queue.models import Models, Serving
from engine.contract.version_info import VersionInfo

log = logging.getLogger("engine.serving.model_reload")
P = TypeVar("P")

MODEL_POLL_SECONDS = 1.0
"""Seconds between two looks at what is wished for."""


class ModelReload(Generic[P]):
    """``load`` turns a version's name into a poet and may raise anything; ``version``: what serves at the start."""

    def __init__(
        self, models: Models, load: Callable[[str], P], version: str, figures: Callable[[], Iterable[VersionInfo]]
    ) -> None:
        self._models = models
        self._load = load
        self._figures = figures
        self.serving = Serving(version, 0)

    async def look(self) -> P | None:
        """A poet to serve from now on, loaded while the old one served; None: nothing changes."""
        desired = await self._models.desired()
        if desired is None or desired.serial == self.serving.serial:
            return None
        if desired.version == self.serving.version:
            self.serving = Serving(desired.version, desired.serial)
            return None
        starting = self.serving.serial == 0
        error = ""
        # A worker that has just started falls back to the previously desired version.
        for version in dict.fromkeys((desired.version, desired.before) if starting else (desired.version,)):
            if not version or version == self.serving.version:
                continue
            try:
                poet = await asyncio.to_thread(self._load, version)
            except Exception as problem:
                log.error("version %s does not load, %s goes on: %s", version, self.serving.version, problem)
                error = error or str(problem) or type(problem).__name__
                continue
            log.info("version %s takes the place of %s", version, self.serving.version)
            self.serving = Serving(version, desired.serial, error)
            return poet
        self.serving = Serving(self.serving.version, desired.serial, error)
        return None

    async def tell(self, worker: str, ttl: int) -> None:
        """Say what this worker serves and which versions it could."""
        await self._models.tell(worker, self.serving, ttl)

    async def publish(self) -> None:
        await self._models.publish(await asyncio.to_thread(lambda: list(self._figures())))

    async def leave(self, worker: str) -> None:
        await self._models.leave(worker)
