"""A Bot API whose answers are invalid in every way that broken software between bot and Telegram may produce."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from typing import Any

from aiohttp import web
from redis.asyncio import Redis

from engine.contract import PoemRequest
from engine.contract.queue.cards import digest
from tests.soak.harness import (
    HEADS,
    LONG_DEADLINE,
    QUICK_WORKER,
    SimulatedUsers,
    SoakResult,
    bot_and_workers,
    cpu_seconds,
    open_queue,
)
from tests.support.fake_bot_api import drip
from tests.support.fake_telegram import FakeTelegram
from tests.support.stage import stage

MARK = "made-up-secret"
"""Part of most answers: no log may contain it."""
SHARE = 0.6
"""Share of calls answered with garbage; in every fourth period of ``STRETCH`` seconds it is all of them."""
STRETCH = 15.0
SPOILT = 0.1
"""Share of the garbage that is answered after the call was executed."""
WAIT = 120.0
"""Seconds without any progress after which missing answers count as lost."""

_STATUSES = (200, 200, 204, 301, 302, 400, 401, 403, 404, 407, 409, 413, 429, 500, 502, 503, 504)
_HTML = f"<!DOCTYPE html><html><body><h1>{MARK}</h1>\n</body></html>"
_JSON: list[Any] = [
    None, True, 7, -1, 0.5, "", MARK, [], [[]], {}, [7], {"message": MARK}, {"ok": True}, {"result": True},
    {"ok": False}, {"ok": False, "error_code": 400}, {"ok": False, "description": MARK}, {"ok": 1, "result": {}},
    {"ok": "true"},
    {"ok": False, "error_code": "403", "description": MARK}, {"ok": False, "error_code": 599, "description": MARK},
    {"ok": False, "error_code": 403, "description": {"text": MARK}}, {"ok": True, "result": None},
    {"ok": False, "error_code": 400, "description": 5, "parameters": {"migrate_to_chat_id": 1}},
]  # fmt: skip
_RESULTS: list[Any] = [
    None, 7, MARK, [], {}, [None], [MARK], [{}], [[]], {"message_id": MARK}, {"message_id": True}, {"message_id": -5},
    {"message_id": None}, {"id": MARK, "username": 5}, {"id": 1, "username": MARK + "/\n"}, {"url": 5}, {"url": None},
    [{"update_id": MARK}, {"update_id": True}, {"update_id": -3}, {"update_id": 2**40}, {"update_id": 1.5}],
]  # fmt: skip
_BAD_UPDATES: list[Any] = [
    {"message": MARK}, {"message": {}}, {"message": {"message_id": MARK}}, {"callback_query": [MARK]},
    {"message": {"message_id": 1, "chat": {"id": MARK, "type": "private"}}}, {"inline_query": {"id": 5, "query": MARK}},
    {"message": {"message_id": 1, "chat": {"id": 7, "type": "private"}, "text": [MARK]}}, {"chosen_inline_result": 0},
]  # fmt: skip
_OTHERS: list[Any] = [None, True, -1, 2**70, 0.5, 1e308, "", MARK, [], {}, [MARK], {"id": MARK}]
NOBODY = 5
"""The user of the unreadable updates; no answer to them is expected."""


class BrokenTelegram(FakeTelegram):
    """``clean``: all answers are right; ``quick``: none is slow. ``kinds``: number of answers of each kind; ``spoilt``:
    chats whose message was delivered although the answer was garbage; ``rates``: calls by method and second;
    ``methods``: garbage answers by method."""

    def __init__(self, seed: int = 7) -> None:
        super().__init__()
        self.clean = self.quick = False
        self.kinds: Counter[str] = Counter()
        self.spoilt: Counter[int] = Counter()
        self.rates: dict[str, Counter[int]] = {}
        self.methods: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._began = time.monotonic()

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method, now = request.match_info["method"], time.monotonic() - self._began
        self.rates.setdefault(method, Counter())[int(now)] += 1
        all_of_it = int(now / STRETCH) % 4 == 3
        if self.clean or (self._random.random() >= SHARE and not all_of_it):
            answer = await super()._call(request)
            return self._among_garbage(answer) if method == "getUpdates" else answer
        self.methods[method] += 1
        if method == "getUpdates" or self._random.random() >= SPOILT:
            await request.read()
            return await self._garbage(request)
        before = len(self.sent)
        answer = await super()._call(request)
        self.spoilt.update(sent.chat for sent in self.sent[before:])
        if self._random.random() < 0.5 and isinstance(answer, web.Response) and answer.text is not None:
            self.kinds["one thing wrong"] += 1
            return web.json_response(self._with_one_wrong(json.loads(answer.text)), status=answer.status)
        return await self._garbage(request)

    def _among_garbage(self, answer: web.StreamResponse) -> web.StreamResponse:
        """Mix real updates with unreadable ones."""
        if self.clean or not isinstance(answer, web.Response) or answer.text is None or answer.status != 200:
            return answer
        updates = json.loads(answer.text)["result"]
        mixed: list[Any] = []
        for update in updates:
            if self._random.random() < 0.3:
                self.kinds["unreadable update"] += 1
                number = {"update_id": update["update_id"] - 1}
                bad = self._random.choice([*_BAD_UPDATES, self._with_one_wrong(_nobodys(update))])
                mixed.append({**bad, **number} if isinstance(bad, dict) else bad)
            mixed += [update, self._random.choice(_JSON)] if self._random.random() < 0.1 else [update]
        return web.json_response({"ok": True, "result": mixed})

    async def _garbage(self, request: web.Request) -> web.StreamResponse:
        kinds = {
            "html": 4, "json": 4, "wrong result": 4, "half json": 3, "empty": 1, "bytes": 1, "deep": 1, "large": 0.02,
            "drip": 0.5, "silence": 0.3, "broken off": 1, "cut short": 1, "no http": 1, "gzip": 1, "wrong length": 0.5,
            "redirect": 1, "telegram is busy": 1, "slow down": 1, "odd parameters": 1,
        }  # fmt: skip
        if self.quick:
            del kinds["drip"], kinds["silence"], kinds["large"]
        kind = self._random.choices(list(kinds), list(kinds.values()))[0]
        self.kinds[kind] += 1
        status, transport = self._random.choice(_STATUSES), request.transport
        if kind == "drip":
            return await drip(request, '{"ok": true, "result": [' + " " * 10_000, 0.2)
        if kind == "silence":
            await asyncio.sleep(60)
        if transport is None or kind in ("silence", "broken off"):
            if transport is not None:
                transport.abort()
            return web.Response()
        if kind in ("no http", "cut short", "wrong length"):
            raw = {
                "no http": f"{MARK} {_HTML}\r\n\r\n",
                "cut short": f'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{{"ok": true, "result": "{MARK}',
                "wrong length": f"HTTP/1.1 200 OK\r\nContent-Length: {MARK}\r\n\r\nzz\r\n",
            }[kind]
            transport.write(raw.encode())
            await asyncio.sleep(0.01)
            transport.close()
            return web.Response()
        if kind == "redirect":
            return web.Response(status=302, headers={"Location": f"/{MARK}"})
        if kind == "gzip":
            headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
            return web.Response(status=200, body=MARK.encode() * 50, headers=headers)
        return web.Response(status=self._status(kind, status), body=self._body(kind))

    def _with_one_wrong(self, value: Any) -> Any:
        """``value`` with something at a random position missing or of another type."""
        if value and isinstance(value, dict | list) and self._random.random() < 0.85:
            copied: Any = value.copy()
            at = self._random.choice(list(value) if isinstance(value, dict) else range(len(value)))
            if self._random.random() < 0.15:
                del copied[at]
            else:
                copied[at] = self._with_one_wrong(value[at])
            return copied
        return self._random.choice([other for other in _OTHERS if type(other) is not type(value)])

    def _status(self, kind: str, status: int) -> int:
        return {"telegram is busy": 500, "slow down": 429, "odd parameters": 429}.get(kind, status)

    def _body(self, kind: str) -> bytes:
        choose = self._random.choice
        if kind == "html":
            return _HTML.encode(choose(("utf-8", "utf-16", "gb18030")))
        if kind == "json":
            return json.dumps(choose(_JSON)).encode()
        if kind == "wrong result":
            return json.dumps({"ok": True, "result": choose(_RESULTS)}).encode()
        if kind == "half json":
            whole = json.dumps({"ok": True, "result": {"message_id": 5, "text": MARK}})
            return whole[: self._random.randrange(1, len(whole))].encode()
        if kind == "bytes":
            return self._random.randbytes(self._random.randrange(1, 2000))
        if kind == "deep":
            return b'{"ok":true,"result":' + choose((b"[", b'{"a":')) * 50_000
        if kind == "large":
            return b" " * 20_000_000
        error: dict[str, Any] = {"ok": False, "error_code": 500, "description": "Internal Server Error"}
        if kind == "slow down":
            error |= {"error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": 2}}
        if kind == "odd parameters":
            odd: Any = choose((-1, 0.5, "5", None, 2**80, {}, [MARK]))
            error |= {"error_code": 429, "description": "Too Many Requests\n", "parameters": {"retry_after": odd}}
        return b"" if kind == "empty" else json.dumps(error).encode()

    def most(self, method: str | None = None) -> int:
        """Maximum calls within one second, of one method or of all together."""
        total: Counter[int] = Counter()
        for name, rates in self.rates.items():
            if method in (None, name):
                total.update(rates)
        return max(total.values(), default=0)


async def answered(
    minutes: float = 20.0,
    every: float = 0.5,
    worker: tuple[str, ...] = QUICK_WORKER,
    quick: bool = False,
    **environ: str,
) -> SoakResult:
    """Answer with garbage for so many minutes, then normally until everybody has an answer or a dead letter.

    ``quick``: the garbage begins once the bot is connected, and none of it is slow.
    """
    told = {"REPLY_DEADLINE": "45", "LOG_LEVEL": "INFO", **LONG_DEADLINE, **environ}
    telegram = BrokenTelegram()
    telegram.clean = telegram.quick = quick
    async with (
        stage(telegram, **told) as here,
        bot_and_workers(here, worker) as (bots, _),
        open_queue(here.store.url) as (redis, _),
    ):
        users, pressing = SimulatedUsers(telegram), ButtonPresser(telegram)
        if quick:
            await telegram.called("getUpdates")
            telegram.clean = False
        bot, began = bots.members[0], time.monotonic()
        while time.monotonic() - began < 60 * minutes and not bot.has_ended:
            await users.ask(every=every)
            await pressing.one()
        telegram.clean = True
        dead = await _settled(redis, telegram, users, pressing)
        share = cpu_seconds(bot.pid) / (time.monotonic() - began) if not bot.has_ended else 1.0
        # Users whose poem arrived may have a dead letter too, for a picture.
        unanswered = users.asked.keys() - {sent.chat for sent in telegram.sent}
        users.expect_no_answer({chat for chat in dead & unanswered if isinstance(chat, int)})
        figures = users.figures(
            "invalid answers from the Bot API",
            sum(telegram.kinds.values()),
            minutes=minutes,
            dead_lettered=len(dead & unanswered),
            dead_lettered_pictures_and_inline_poems=len(pressing.pictures & (dead - unanswered))
            + len(pressing.inline & dead),
            delivered_with_a_spoilt_answer=sum(telegram.spoilt.values()),
            most_calls_a_second=telegram.most(),
            most_getupdates_a_second=telegram.most("getUpdates"),
            bot_cpu_share=share,
            programs_that_ended=sum(member.has_ended for member in bots.members),
            tracebacks=bots.output().count("Traceback"),
            garbage_in_logs=bots.output().count(MARK),
            messages_in_logs=bots.output().count("/acrostic"),
            kinds=len(telegram.kinds),
            methods=len(telegram.methods),
            pictures=len(pressing.pictures),
            inline_poems=len(pressing.inline),
            pictures_and_inline_poems_lost=len(pressing.lost(dead)),
        )
        print("lost:", sorted(map(str, pressing.lost(dead))), flush=True)
        print(
            dict(telegram.kinds),
            dict(telegram.methods),
            {name: max(rates.values()) for name, rates in telegram.rates.items()},
            flush=True,
        )
        return figures


class ButtonPresser:
    """A user who presses buttons and types inline queries beside the poems, so that every method is called.

    ``pictures``: chats where a picture was requested; ``inline``: inline messages that wait for a poem.
    """

    def __init__(self, telegram: BrokenTelegram) -> None:
        self._telegram = telegram
        self._person = {"id": 9, "is_bot": False, "first_name": "某"}
        self._turn = 0
        self.pictures: set[int] = set()
        self.inline: set[str] = set()

    async def one(self) -> None:
        """Do the next of several things."""
        self._turn += 1
        number = self._telegram.update(None)["update_id"]
        poem = next((sent for sent in reversed(self._telegram.sent) if sent.buttons), None)
        if self._turn % 4 == 0:
            query = {"id": f"q{number}", "from": self._person, "query": f"春风{self._turn}", "offset": ""}
            await self._telegram.put({"update_id": number, "inline_query": query})
        elif self._turn % 4 == 1:
            await self._choose()
        elif self._turn % 4 == 2 and poem is not None:
            [picture] = [data for data in poem.buttons.values() if data.startswith("picture:")]
            self.pictures.add(poem.chat)
            await self._telegram.press_data(poem, picture, user=9)
        elif poem is not None:
            menus = [data for data in poem.buttons.values() if data.startswith(("forms:", "moods:"))]
            others = [*menus, "language::en", "forms:1", MARK]
            await self._telegram.press_data(poem, others[self._turn // 4 % len(others)], user=9)

    async def _choose(self) -> None:
        """Choose a poem that is not written yet: the message is edited later."""
        place, many = self._turn // 4, len(HEADS)
        text, message = HEADS[place % many] + HEADS[place // many % many], f"inline{place}"
        self._telegram.shown[message] = ("…", None)
        self.inline.add(message)
        person = {"from": self._person, "query": text}
        chosen = {**person, "result_id": digest(PoemRequest("acrostic", text)), "inline_message_id": message}
        for kind, event in (
            ("inline_query", {**person, "id": f"i{place}", "offset": ""}),
            ("chosen_inline_result", chosen),
        ):
            await self._telegram.put({"update_id": self._telegram.update(None)["update_id"], kind: event})

    def lost(self, dead: set[int | str]) -> set[int | str]:
        """Chats and inline messages whose picture or poem neither arrived nor is a dead letter."""
        came: set[int | str | None] = {sent.chat for sent in self._telegram.photos}
        came |= {sent.inline for sent in self._telegram.edits}
        return (self.pictures | self.inline) - came - dead


async def _settled(
    redis: Redis, telegram: BrokenTelegram, users: SimulatedUsers, pressing: ButtonPresser
) -> set[int | str]:
    """Wait until everybody has an answer or a dead letter, or there is no more progress; returns the addresses of the
    dead letters."""
    missing, moved = len(users.asked), time.monotonic()
    dead: set[int | str] = set()
    while missing and time.monotonic() - moved < WAIT:
        await asyncio.sleep(0.5)
        dead = await _dead(redis)
        left = len(users.asked.keys() - {sent.chat for sent in telegram.sent} - dead) + len(pressing.lost(dead))
        if left != missing:
            moved = time.monotonic()
        missing = left
    return dead


async def _dead(redis: Redis) -> set[int | str]:
    """The chats and inline messages of the dead letters."""
    entries: Any = await redis.xrange("poem:dead")
    places = [json.loads(fields["body"])["to"] for _, fields in entries]
    return {place.get("chat", place.get("inline")) for place in places}


def _nobodys(value: Any) -> Any:
    """The same update from ``NOBODY``."""
    if isinstance(value, list):
        return [_nobodys(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: {**each, "id": NOBODY} if name in ("from", "chat") else _nobodys(each) for name, each in value.items()
    }
