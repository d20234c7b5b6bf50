"""Cards: a poem with its request, for the buttons below it and for its link, stored as compactly as possible.

Keys: ``cards`` (stream, one entry per poem; entries older than ``CARD_TTL_SECONDS`` are trimmed as new ones arrive, and
the stream expires if none do), ``card:…`` (a request not written yet), ``ready:…`` (the card that answers a request)
and ``written:…`` (that a poem was written here). A poem's card is named by its entry ID and a random key in the entry,
so that it cannot be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from engine.contract.codec import CodecError, dumps, loads_object, or_none
from engine.contract.poem import VERSION, Poem, PoemRequest
from engine.contract.text import clauses

CARD_TTL_SECONDS = 30 * 86_400
UNWRITTEN_TTL_SECONDS = 86_400
READY_TTL_SECONDS = 3600
WRITTEN_TTL_SECONDS = 86_400
MAX_CARDS = 500_000
"""Maximum number of cards whatever their age: about 200 MB."""
KEY_BYTES = 6

_CARD_NAME = re.compile(r"([0-9]{1,15}-[0-9]{1,9})\.([A-Za-z0-9_-]{8})")

# Adds a poem, trims those too old, and makes it the answer to equal requests.
_KEEP = """
local stream, ready = unpack(KEYS)
local version, body, key, most, ttl, ready_ttl = unpack(ARGV)
local oldest = string.format('%d', (redis.call('TIME')[1] - ttl) * 1000)
local entry = redis.call('XADD', stream, 'MINID', '~', oldest, '*', 'v', version, 'body', body, 'k', key)
redis.call('XTRIM', stream, 'MAXLEN', '~', most)
redis.call('EXPIRE', stream, ttl)
local name = entry .. '.' .. key
redis.call('SET', ready, name, 'EX', ready_ttl)
return name
"""


@dataclass(frozen=True)
class Card:
    """What the buttons of a message refer to. ``poem`` None: not written yet."""

    request: PoemRequest
    poem: Poem | None = None

    def fields(self) -> dict[str, str]:
        """A stream entry. Of the poem only the fields that do not follow from its text and its request."""
        body: dict[str, object] = {"request": self.request.brief()}
        if self.poem is not None:
            implied = _implied(self.request, self.poem.text).items()
            body["poem"] = {name: item for name, item in self.poem.to_json().items() if (name, item) not in implied}
        return {"v": str(VERSION), "body": dumps(body)}

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Card | None:
        """Decode a stream entry; None: it is of another version. CodecError: it is not a card."""
        if fields.get("v") != str(VERSION):
            return None
        value = loads_object(fields.get("body", ""))
        request, poem = PoemRequest.from_json(value.get("request", {})), value.get("poem")
        if poem is None:
            return cls(request)
        if not isinstance(poem, dict) or not isinstance(poem.get("text"), str):
            raise CodecError("'poem' must be a poem")
        return cls(request, Poem.from_json({**_implied(request, poem["text"]), **poem}))


def _implied(request: PoemRequest, text: str) -> dict[str, object]:
    """The fields of a poem that usually follow from its request and its text."""
    optional = dict.fromkeys(("rhyme", "template", "mood"))
    return {"v": VERSION, "mode": request.mode, "lines": clauses(text), **optional}


def digest(request: PoemRequest) -> str:
    """A short name that equal requests share; distinct from stream entry IDs."""
    return "d" + _sha(dumps(request.to_json()))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:20]


class Cards:
    """Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._stream = f"{prefix}cards"
        self._keep = redis.register_script(_KEEP)

    async def keep(self, card: Card) -> str:
        """Store a card and return its name; a poem becomes the ready answer to equal requests."""
        fields = card.fields()
        if card.poem is None:
            name = digest(card.request)
            await self._redis.set(self._unwritten(name), dumps(fields), ex=UNWRITTEN_TTL_SECONDS)
            return name
        key = secrets.token_urlsafe(KEY_BYTES)
        name = await self._keep(
            keys=[self._stream, self._ready(card.request)],
            args=[fields["v"], fields["body"], key, MAX_CARDS, CARD_TTL_SECONDS, READY_TTL_SECONDS],
        )
        return str(name)

    async def note_written(self, poem: Poem) -> None:
        """Remember for a day that this poem was written here."""
        await self._redis.set(self._written(poem), "1", ex=WRITTEN_TTL_SECONDS)

    async def was_written(self, poem: Poem) -> bool:
        return bool(await self._redis.exists(self._written(poem)))

    async def find(self, name: str) -> Card | None:
        """The card of that name; None: it does not exist or has expired."""
        if match := _CARD_NAME.fullmatch(name):
            entry, key = match.groups()
            entries: Any = await self._redis.xrange(self._stream, entry, entry)
            known = bool(entries) and hmac.compare_digest(entries[0][1].get("k", "").encode(), key.encode())
            return or_none("card", lambda: Card.from_fields(entries[0][1])) if known else None
        stored: Any = await self._redis.get(self._unwritten(name))
        return None if stored is None else or_none("card", lambda: Card.from_fields(loads_object(stored)))

    async def ready(self, requests: Sequence[PoemRequest]) -> list[tuple[str, Card] | None]:
        """For each request, the name and card of a poem written recently for an equal request."""
        names: Any = await self._redis.mget([self._ready(request) for request in requests])
        cards = [None if name is None else await self.find(name) for name in names]
        return [
            None if card is None or card.poem is None else (name, card) for name, card in zip(names, cards, strict=True)
        ]

    def _unwritten(self, name: str) -> str:
        return f"{self._prefix}card:{name}"

    def _written(self, poem: Poem) -> str:
        return f"{self._prefix}written:{_sha(dumps(poem.to_json()))}"

    def _ready(self, request: PoemRequest) -> str:
        return f"{self._prefix}ready:{digest(request)}"
