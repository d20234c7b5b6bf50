"""Changes a worker's model without a restart, if the new one loads."""

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
"""Seconds between two checks of the desired version."""


class ModelReload(Generic[P]):
    """``load``: loads a version's poet by name and may raise anything; ``version``: the one served at the start."""

    def __init__(
        self, models: Models, load: Callable[[str], P], version: str, list_versions: Callable[[], Iterable[VersionInfo]]
    ) -> None:
        self._models = models
        self._load = load
        self._list_versions = list_versions
        self.serving = Serving(version, 0)

    async def poll(self) -> P | None:
        """A poet to serve from now on, loaded while the old one keeps serving; None: no change."""
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
                log.error("version %s does not load, keeping %s: %s", version, self.serving.version, problem)
                error = error or str(problem) or type(problem).__name__
                continue
            log.info("version %s replaces %s", version, self.serving.version)
            self.serving = Serving(version, desired.serial, error)
            return poet
        self.serving = Serving(self.serving.version, desired.serial, error)
        return None

    async def publish(self) -> None:
        """Publish the versions that this worker could serve."""
        await self._models.publish(await asyncio.to_thread(lambda: list(self._list_versions())))
