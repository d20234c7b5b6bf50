"""Retraining through Redis: one order at a time, with its progress and outcome.

Keys: ``trainings`` (stream) never expires; ``training`` (hash: the order, the trainer's last report, the message that
shows it), ``training:cancel``, ``training:curve``, ``training:herald`` (lock of the bot that reports) and ``trainers``
have a time to live.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from redis.asyncio import Redis

from engine.contract.codec import CodecError, decode_text, encode_text, or_none, skip_unreadable
from engine.contract.poem import VERSION
from engine.contract.queue.heartbeats import Heartbeats
from engine.contract.queue.locks import Locks
from engine.contract.queue.messages import Chat
from engine.contract.queue.stream import Stream

Phase = Literal[
    "queued", "waiting", "preparing", "training", "aligning", "measuring", "paused", "done", "failed", "cancelled"
]
FINAL_PHASES: tuple[Phase, ...] = ("done", "failed", "cancelled")
Failure = Literal["", "corpus", "npm", "small", "disk", "model", "paddle", "died", "moved", "other"]
ORDER_TTL_SECONDS = 30 * 86_400
"""How long the order, its last report and the loss curve are kept."""
ORDER_SEEN_TTL_SECONDS = 2 * 86_400

_ORDER = """
local stream, state, seen, cancel, curve = unpack(KEYS)
local version, body, kept, seen_ttl, report = unpack(ARGV)
local before = redis.call('GET', seen)
if before then return {'duplicate', before} end
if redis.call('XLEN', stream) > 0 then return {'running', redis.call('HGET', state, 'id') or ''} end
local id = redis.call('XADD', stream, '*', 'v', version, 'body', body)
redis.call('DEL', state, cancel, curve)
redis.call('HSET', state, 'id', id, 'order', body, 'report', report)
redis.call('EXPIRE', state, kept)
redis.call('SET', seen, id, 'EX', seen_ttl)
return {'accepted', id}
"""

# Only the current order may write here; a trainer whose order was replaced must not.
_SET_FIELD = """
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""

# Renews the lease of an order. If no order is known at all, the server lost its data, and the order is restored.
_HOLD = """
local stream, state = unpack(KEYS)
local group, consumer, id, version, body, report, kept = unpack(ARGV)
local held = redis.pcall('XPENDING', stream, group, id, id, 1, consumer)
if not held.err and #held > 0 then
  redis.call('XCLAIM', stream, group, consumer, 0, id, 'JUSTID')
  return 1
end
if redis.call('EXISTS', state) == 1 or redis.call('XLEN', stream) > 0 then return 0 end
redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
local added = redis.pcall('XADD', stream, id, 'v', version, 'body', body)
if type(added) == 'table' and added.err then return 0 end
redis.call('XGROUP', 'SETID', stream, group, id)
redis.call('XCLAIM', stream, group, consumer, 0, id, 'FORCE', 'JUSTID')
redis.call('HSET', state, 'id', id, 'order', body, 'report', report)
redis.call('EXPIRE', state, kept)
return 1
"""


@dataclass(frozen=True)
class Order:
    """A training order. ``start``: continue from the model in use, or start from random weights."""

    epochs: float
    start: Literal["continue", "scratch"]
    to: Chat
    language: str


Unread = Literal["no_folder", "kind", "empty", "json", "large", "utf8", "npz", "special", "unreadable"]
"""Why a file with the operator's own poems was not read."""


@dataclass(frozen=True)
class TrainingReport:
    """A trainer's report on an order.

    ``part``: finished fraction of the training, 0 to 1. ``interruptions``: how often its training process or its
    trainer died; ``resumed``: the step from which it continued after the last time; ``stalls``: how often in a row
    without a step gained. ``train_dir``: the folder in which it was started. ``table``: rows of metric name, value
    before, value after. ``skipped``: names of own files that were not read, with the reason (``Unread``);
    ``more_skipped``: how many others. ``failure`` with its ``detail``: why it failed.
    """

    phase: Phase
    epoch: float = 0.0
    part: float = 0.0
    step: int = 0
    loss: float | None = None
    validation: float | None = None
    speed: float = 0.0
    seconds_left: float | None = None
    interruptions: int = 0
    resumed: int | None = None
    stalls: int = 0
    train_dir: str = ""
    own_poems: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    more_skipped: int = 0
    version: str = ""
    before: str = ""
    promoted: bool = False
    table: list[list[Any]] = field(default_factory=list)
    failure: Failure = ""
    detail: str = ""


@dataclass(frozen=True)
class Training:
    """An order and its state. ``message``: the one that shows it; ``closed``: its outcome has been reported."""

    id: str
    order: Order
    report: TrainingReport
    message: int | None
    closed: bool

    @classmethod
    def from_hash(cls, stored: Mapping[str, str]) -> Training:
        """CodecError: order or report cannot be read."""
        order = decode_text(Order, stored.get("order", ""))
        report = decode_text(TrainingReport, stored.get("report", ""))
        message = stored.get("message", "")
        shown_in = int(message) if message.isdecimal() else None
        return cls(stored.get("id", ""), order, report, shown_in, "closed" in stored)


class Trainings:
    """Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self.orders = Stream(redis, prefix, "trainings", "trainers")
        self._order = redis.register_script(_ORDER)
        self._set_field = redis.register_script(_SET_FIELD)
        self.trainers = Heartbeats(redis, f"{prefix}trainers")
        self._locks = Locks(redis, f"{prefix}training:")
        self._hold = redis.register_script(_HOLD)

    def _key(self, name: str) -> str:
        return self._prefix + name

    async def order(
        self, order: Order, idempotency_key: str
    ) -> tuple[Literal["accepted", "duplicate", "running"], str]:
        """Accept an order once per ``idempotency_key``, unless one is in progress; durable when this returns."""
        names = ("training", f"seen:{idempotency_key}", "training:cancel", "training:curve")
        report = encode_text(TrainingReport("queued"))
        kind, entry = await self._order(
            keys=[self.orders.key, *map(self._key, names)],
            args=[VERSION, encode_text(order), ORDER_TTL_SECONDS, ORDER_SEEN_TTL_SECONDS, report],
        )
        return kind, entry

    async def current(self) -> Training | None:
        """The order in progress, or the last one."""
        stored: Mapping[Any, Any] = await self._redis.hgetall(self._key("training"))
        if not stored:
            return None
        return or_none("training", lambda: Training.from_hash(stored))

    async def report(self, entry: str, report: TrainingReport) -> bool:
        """Store a trainer's report. False: another order has replaced this one."""
        return await self._note(entry, "report", encode_text(report))

    async def hold(self, trainer: str, entry: str, order: Order, report: TrainingReport) -> bool:
        """Renew the lease of the order that ``trainer`` executes; False: another trainer has reclaimed it.

        If the server lost its data, this restores the order and its report.
        """
        body, report_text = encode_text(order), encode_text(report)
        args: list[str | int] = [self.orders.group, trainer, entry, VERSION, body, report_text, ORDER_TTL_SECONDS]
        return bool(await self._hold(keys=[self.orders.key, self._key("training")], args=args))

    async def shown_in(self, entry: str, message: int) -> None:
        """Remember the message that shows the order."""
        await self._note(entry, "message", str(message))

    async def close(self, entry: str) -> None:
        """Mark its outcome as reported."""
        await self._note(entry, "closed", "1")

    async def _note(self, entry: str, name: str, value: str) -> bool:
        return bool(await self._set_field(keys=[self._key("training")], args=[entry, name, value, ORDER_TTL_SECONDS]))

    async def cancel(self, training: Training) -> None:
        """Tell the trainer to stop; an order that no trainer has taken is ended here."""
        await self._redis.set(self._key("training:cancel"), training.id, ex=ORDER_TTL_SECONDS)
        await self.orders.prepare()
        if not await self.orders.held() and await self.orders.finish(training.id):
            await self.report(training.id, TrainingReport("cancelled"))

    async def cancelled(self, entry: str) -> bool:
        stored: Any = await self._redis.get(self._key("training:cancel"))
        return bool(stored == entry)

    async def keep_curve(self, png: bytes) -> None:
        await self._redis.set(self._key("training:curve"), base64.b64encode(png).decode(), ex=ORDER_TTL_SECONDS)

    async def curve(self) -> bytes | None:
        """The loss curve, a PNG."""
        stored: Any = await self._redis.get(self._key("training:curve"))
        try:
            return None if stored is None else base64.b64decode(stored)
        except ValueError as error:
            skip_unreadable("curve", CodecError(str(error)))
            return None

    async def become_reporter(self, bot: str, seconds: float) -> bool:
        """Make ``bot`` the one that reports to the admin for ``seconds``; False if another bot is."""
        return await self._locks.acquire("herald", bot, seconds)
