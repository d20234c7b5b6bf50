"""The model version the workers should serve, the versions that exist, and which worker serves which.

Keys: ``model`` (string, the desired version) and ``versions`` (hash, all versions) are state and never expire;
``serving:WORKER`` has a time to live.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import Redis

from engine.contract.codec import decode_text, encode_text, or_none
from engine.contract.queue.heartbeats import Heartbeats
from engine.contract.queue.messages import Chat
from engine.contract.version_info import VersionInfo

T = TypeVar("T")

# Keeps the previously desired version beside the new one, as a fallback for workers that cannot load the new one. The
# serial is the server's time in milliseconds, so that no serial is reused after the server lost its data.
_USE = """
local time = redis.call('TIME')
local at = time[1] + time[2] / 1000000
local before, serial = '', math.floor(at * 1000)
local readable, old = pcall(cjson.decode, redis.call('GET', KEYS[1]) or '')
if readable and type(old) == 'table' then
  if type(old.version) == 'string' then before = old.version end
  serial = math.max(serial, (tonumber(old.serial) or 0) + 1)
end
local desired = cjson.encode({version = ARGV[1], before = before, serial = serial, at = at, by = ARGV[2]})
redis.call('SET', KEYS[1], desired)
return serial
"""


@dataclass(frozen=True)
class DesiredVersion:
    """The version that workers should serve. ``serial`` grows with every request, even for the same version; ``at``:
    Unix seconds by the server's clock."""

    version: str
    before: str
    serial: int
    at: float
    by: str = ""


@dataclass(frozen=True)
class Requester:
    """Who is told the outcome of a request for another version."""

    to: Chat
    language: str

    @classmethod
    def of(cls, text: str) -> Requester | None:
        """None: nobody is to be told."""
        return _decoded(cls, text) if text else None


@dataclass(frozen=True)
class Serving:
    """The version one worker serves; ``error``: why it is not the one that request ``serial`` asks for."""

    version: str
    serial: int
    error: str = ""


class Models:
    """Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, prefix: str, workers: Heartbeats) -> None:
        self._redis = redis
        self._prefix = prefix
        self._workers = workers
        self._use = redis.register_script(_USE)

    async def use(self, version: str, by: str = "") -> int:
        """Ask the workers to serve a version; returns the request's serial. ``by``: a ``Requester`` as text."""
        return int(await self._use(keys=[f"{self._prefix}model"], args=[version, by]))

    async def desired(self) -> DesiredVersion | None:
        """None: nobody has asked for another version than the workers' own."""
        stored: Any = await self._redis.get(f"{self._prefix}model")
        return None if stored is None else _decoded(DesiredVersion, stored)

    async def publish(self, versions: Iterable[VersionInfo]) -> None:
        """Publish versions; those published before are kept."""
        entries: dict[Any, Any] = {each.version: encode_text(each) for each in versions}
        if entries:
            await self._redis.hset(f"{self._prefix}versions", mapping=entries)

    async def forget(self, versions: Iterable[str]) -> None:
        if names := list(versions):
            await self._redis.hdel(f"{self._prefix}versions", *names)

    async def versions(self) -> dict[str, VersionInfo]:
        """All versions by name, oldest first."""
        stored: Mapping[Any, Any] = await self._redis.hgetall(f"{self._prefix}versions")
        versions = [each for value in stored.values() if (each := _decoded(VersionInfo, value)) is not None]
        return {
            each.version: each for each in sorted(versions, key=lambda each: (not each.home, each.date, each.version))
        }

    async def tell(self, worker: str, serving: Serving, ttl: int) -> None:
        """Report what ``worker`` serves, for ``ttl`` seconds."""
        await self._redis.set(f"{self._prefix}serving:{worker}", encode_text(serving), ex=ttl)

    async def leave(self, worker: str) -> None:
        await self._redis.delete(f"{self._prefix}serving:{worker}")

    async def serving(self) -> dict[str, Serving]:
        """What each worker that is alive serves, by worker."""
        workers = await self._workers.names()
        values: Any = (
            await self._redis.mget([f"{self._prefix}serving:{worker}" for worker in workers]) if workers else []
        )
        served = {
            worker: _decoded(Serving, value) for worker, value in zip(workers, values, strict=True) if value is not None
        }
        return {worker: each for worker, each in served.items() if each is not None}


def _decoded(kind: type[T], text: str) -> T | None:
    return or_none(kind.__name__, lambda: decode_text(kind, text))
