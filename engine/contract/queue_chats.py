"""What the chats need to remember: poems for their buttons, languages, buttons that are busy, waiting notices.

Keys: ``languages`` (hash, user → language) is state and never expires; ``card:…`` (a poem and its request),
``ready:…`` (the card that answers a request), ``busy:…`` and ``notice:…`` carry a time to live.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from engine.contract.poem import CodecError, Poem, PoemRequest, dumps

CARD_TTL = 30 * 86_400
UNWRITTEN_TTL = 86_400
READY_TTL = 3600
NOTICE_TTL = 86_400

_BUSY = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""

# A notice that went meanwhile must not come back without its message.
_REACH = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'place', ARGV[1])
return 1
"""


@dataclass(frozen=True)
class Card:
    """What the buttons of a message are about. ``poem`` None: not written yet."""

    request: PoemRequest
    poem: Poem | None = None


@dataclass(frozen=True)
class Notice:
    """The message that tells a waiting person's place in the queue, and the place it tells."""

    message: int
    place: int


def digest(request: PoemRequest) -> str:
    """A short name that equal requests share; no entry of a stream has one like it."""
    return "d" + hashlib.sha256(dumps(request.to_json()).encode("utf-8", "replace")).hexdigest()[:20]


class Chats:
    """Raises redis.exceptions.RedisError while Redis is gone."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._busy = redis.register_script(_BUSY)
        self._reach = redis.register_script(_REACH)

    def _key(self, name: str) -> str:
        return self._prefix + name

    async def keep(self, name: str, card: Card) -> None:
        """Keep a card under ``name``; a poem is from then on ready for who asks the same."""
        body: dict[str, object] = {"request": card.request.to_json()}
        if card.poem is not None:
            body["poem"] = card.poem.to_json()
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(self._key(f"card:{name}"), dumps(body), ex=UNWRITTEN_TTL if card.poem is None else CARD_TTL)
            if card.poem is not None:
                pipe.set(self._key(f"ready:{digest(card.request)}"), name, ex=READY_TTL)
            await pipe.execute()

    async def card(self, name: str) -> Card | None:
        """None: there is none, or none any more."""
        found: Any = await self._redis.get(self._key(f"card:{name}"))
        if found is None:
            return None
        value = json.loads(found)
        try:
            poem = Poem.from_json(value["poem"]) if "poem" in value else None
            return Card(PoemRequest.from_json(value["request"]), poem)
        except CodecError:
            return None

    async def ready(self, requests: Sequence[PoemRequest]) -> list[tuple[str, Card] | None]:
        """For each request the card of a poem that was written for an equal one lately, with its name."""
        names: Any = await self._redis.mget([self._key(f"ready:{digest(request)}") for request in requests])
        cards = [None if name is None else await self.card(name) for name in names]
        return [
            None if card is None or card.poem is None else (name, card) for name, card in zip(names, cards, strict=True)
        ]

    async def language(self, user: int) -> str | None:
        """What ``user`` chose; None: nothing."""
        found: Any = await self._redis.hget(self._key("languages"), str(user))
        return None if found is None else str(found)

    async def choose_language(self, user: int, language: str | None) -> None:
        """None: forget the choice."""
        if language is None:
            await self._redis.hdel(self._key("languages"), str(user))
        else:
            await self._redis.hset(self._key("languages"), str(user), language)

    async def engage(self, place: str, guard: str, seconds: float) -> bool:
        """Whether the buttons of ``place`` are free, or engaged by ``guard`` itself; then they are engaged for so
        long, or until ``release``."""
        return bool(await self._busy(keys=[self._key(f"busy:{place}")], args=[guard, max(1, int(seconds))]))

    async def release(self, place: str) -> None:
        await self._redis.delete(self._key(f"busy:{place}"))

    async def settle(self, job: str, place: str) -> Notice | None:
        """What ``job`` was waited for with is over: free the buttons of ``place``; the notice, which is to go."""
        async with self._redis.pipeline() as pipe:
            pipe.hgetall(self._key(f"notice:{job}"))
            pipe.delete(self._key(f"notice:{job}"), self._key(f"busy:{place}"))
            found, _ = await pipe.execute()
        return _notice(found)

    async def noticed(self, job: str, notice: Notice) -> None:
        """Remember the message that tells the place of ``job``."""
        key = self._key(f"notice:{job}")
        async with self._redis.pipeline() as pipe:
            pipe.hset(key, mapping={"message": notice.message, "place": notice.place})
            pipe.expire(key, NOTICE_TTL)
            await pipe.execute()

    async def reached(self, job: str, place: int) -> bool:
        """The notice of ``job`` tells another place now; False if it went meanwhile."""
        return bool(await self._reach(keys=[self._key(f"notice:{job}")], args=[place]))

    async def notice(self, job: str) -> Notice | None:
        return _notice(await self._redis.hgetall(self._key(f"notice:{job}")))


def _notice(found: Mapping[Any, Any]) -> Notice | None:
    return Notice(int(found["message"]), int(found["place"])) if found else None
