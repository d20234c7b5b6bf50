"""State of chats: chosen languages, queue notices, the last request, and request counts.

Keys: ``languages`` (hash, user → language) never expires; ``notice:…``, ``count:…`` and ``last:…`` have a
time to live.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from engine.contract.codec import decode, dumps, or_none
from engine.contract.poem import PoemRequest

NOTICE_TTL_SECONDS = 86_400
LAST_TTL_SECONDS = 86_400

# A notice that was deleted meanwhile must not be recreated without its message.
_UPDATE_NOTICE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'place', ARGV[1])
return 1
"""

_COUNT = """
local allowed = 1
for i, key in ipairs(KEYS) do
  local most, ttl = tonumber(ARGV[2 * i - 1]), ARGV[2 * i]
  if most > 0 then
    local count = redis.call('INCR', key)
    if count == 1 then redis.call('EXPIRE', key, ttl) end
    if count > most then allowed = 0 end
  end
end
return allowed
"""


@dataclass(frozen=True)
class Notice:
    """The message that tells a waiting person their position in the queue, and the position it shows."""

    message: int
    position: int


class Chats:
    """Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._update_notice = redis.register_script(_UPDATE_NOTICE)
        self._count = redis.register_script(_COUNT)

    def _key(self, name: str) -> str:
        return self._prefix + name

    async def allow(self, what: str, per_minute: int, per_day: int) -> bool:
        """Count one more of ``what``; returns whether that is within the limits (0: no limit)."""
        if not (per_minute or per_day):
            return True
        keys = [self._key(f"count:{what}:{unit}") for unit in ("minute", "day")]
        return bool(await self._count(keys=keys, args=[per_minute, 60, per_day, 86_400]))

    async def language(self, user: int) -> str | None:
        """The language ``user`` chose; None: none."""
        stored: Any = await self._redis.hget(self._key("languages"), str(user))
        return None if stored is None else str(stored)

    async def choose_language(self, user: int, language: str | None) -> None:
        """None: delete the choice."""
        if language is None:
            await self._redis.hdel(self._key("languages"), str(user))
        else:
            await self._redis.hset(self._key("languages"), str(user), language)

    async def remember(self, place: str, request: PoemRequest) -> None:
        """Remember the last request at ``place``, so that the user can ask for another."""
        await self._redis.set(self._key(f"last:{place}"), dumps(request.brief()), ex=LAST_TTL_SECONDS)

    async def last(self, place: str) -> PoemRequest | None:
        """The last request; None: none within a day, or unreadable."""
        stored: Any = await self._redis.get(self._key(f"last:{place}"))
        try:
            return None if stored is None else PoemRequest.from_json(json.loads(stored))
        except ValueError:
            return None

    async def settle(self, job: str, place: str) -> Notice | None:
        """``job`` is answered: unlock the buttons of ``place``; returns its notice, which should be deleted."""
        async with self._redis.pipeline() as pipe:
            pipe.hgetall(self._key(f"notice:{job}"))
            pipe.delete(self._key(f"notice:{job}"), self._key(f"busy:{place}"))
            stored, _ = await pipe.execute()
        return _notice(stored)

    async def save_notice(self, job: str, notice: Notice) -> None:
        """Remember the message that shows the position of ``job``."""
        key = self._key(f"notice:{job}")
        async with self._redis.pipeline() as pipe:
            pipe.hset(key, mapping={"message": notice.message, "place": notice.position})
            pipe.expire(key, NOTICE_TTL_SECONDS)
            await pipe.execute()

    async def update_notice(self, job: str, position: int) -> bool:
        """Note that the notice of ``job`` shows another position now; False if it was deleted meanwhile."""
        return bool(await self._update_notice(keys=[self._key(f"notice:{job}")], args=[position]))

    async def notice(self, job: str) -> Notice | None:
        return _notice(await self._redis.hgetall(self._key(f"notice:{job}")))


def _notice(stored: Mapping[Any, Any]) -> Notice | None:
    fields = {"message": stored.get("message"), "position": stored.get("place")}
    return or_none("notice", lambda: decode(Notice, fields)) if stored else None
