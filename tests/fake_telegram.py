"""A Bot API server small enough to read: true offsets, and faults to order."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "123456:test-token"
BOT_NAME = "tang_poem_bot"
_TAGS = re.compile(r"</?(?:b|i|code)>")


@dataclass
class Fault:
    """Answers ``method`` wrongly ``times`` times; for ``chat`` alone if given. ``status`` 0: the connection breaks.

    ``after``: the message is delivered all the same, and only the answer is spoilt. ``seconds``: it comes late.
    """

    method: str
    status: int = 500
    description: str = "Internal Server Error"
    parameters: dict[str, int] = field(default_factory=dict)
    chat: int | None = None
    times: int = 1
    after: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Sent:
    chat: int
    text: str
    reply_to: int | None
    topic: int | None
    at: float = field(default_factory=time.monotonic, compare=False)

    @property
    def plain(self) -> str:
        return _TAGS.sub("", self.text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


class FakeTelegram:
    """Holds updates until they are confirmed, records what is sent."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.edits: list[Sent] = []
        self.photos: list[Sent] = []
        self.shown: dict[int, str] = {}
        self.calls: Counter[str] = Counter()
        self.handed_out: set[int] = set()
        self.webhook: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self.migrated: dict[int, int] = {}
        self.lost_messages: set[int] = set()
        self._updates: dict[int, dict[str, Any]] = {}
        self._next = 1000
        self._changed = asyncio.Condition()
        self._poll = 0
        self._runner: web.AppRunner | None = None
        self.base_url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/bot{token}/{method}", self._call)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/bot"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    # What a test does.

    async def write(self, text: str | None, **options: Any) -> int:
        """A person writes; the update's number. Options as ``update``."""
        made = self.update(text, **options)
        await self.put(made)
        return int(made["update_id"])

    async def put(self, update: dict[str, Any]) -> None:
        async with self._changed:
            self._updates[update["update_id"]] = update
            self._changed.notify_all()

    def update(
        self,
        text: str | None,
        *,
        chat: int = 7,
        kind: str = "private",
        user: int = 7,
        language: str | None = "zh-hans",
        topic: int | None = None,
        field: str = "message",
        extra: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """As Telegram would send it. ``chat`` below 0 is a group; ``field``: ``edited_message`` and so on."""
        self._next += 1
        sender = {"id": user, "is_bot": False, "first_name": "某"}
        if language is not None:
            sender["language_code"] = language
        place = {"id": chat, "type": kind} | ({"first_name": "某"} if kind == "private" else {"title": "诗社"})
        message: dict[str, Any] = {"message_id": self._next, "date": 1_700_000_000, "chat": place, "from": sender}
        if text is not None:
            message["text"] = text
        if topic is not None:
            message |= {"message_thread_id": topic, "is_topic_message": True}
        return {"update_id": self._next, field: message | (extra or {})}

    async def messages(self, count: int, chat: int | None = None) -> list[Sent]:
        """What was sent (to ``chat``), once there are ``count``; the test's time limit ends a wait in vain."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._to(chat)) >= count)
        return self._to(chat)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was sent, edited or shown fulfils ``condition``."""
        async with self._changed:
            await self._changed.wait_for(condition)

    async def confirmed(self, update_id: int) -> None:
        """Wait until the bot asked for later updates."""
        async with self._changed:
            await self._changed.wait_for(lambda: update_id not in self._updates)

    async def taken(self, update_id: int) -> None:
        """Wait until the bot was given an update."""
        async with self._changed:
            await self._changed.wait_for(lambda: update_id in self.handed_out)

    async def called(self, method: str, times: int = 1) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.calls[method] >= times)

    def _to(self, chat: int | None) -> list[Sent]:
        return [sent for sent in self.sent if chat is None or sent.chat == chat]

    # What Telegram does.

    async def _call(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        form = await request.post()
        data = {name: _value(value) for name, value in form.items() if isinstance(value, str)}
        async with self._changed:
            self.calls[method] += 1
            self._changed.notify_all()
        if request.match_info["token"] != TOKEN:
            return _error(401, "Unauthorized")
        fault = self._fault(method, data.get("chat_id"))
        if fault is not None and not fault.after:
            return await self._fail(request, fault)
        answer: web.Response = await getattr(self, f"_{_snake(method)}")(data)
        return await self._fail(request, fault) if fault is not None else answer

    def _fault(self, method: str, chat: object) -> Fault | None:
        for fault in self.faults:
            if fault.method == method and fault.times > 0 and fault.chat in (None, chat):
                fault.times -= 1
                return fault
        return None

    async def _fail(self, request: web.Request, fault: Fault) -> web.Response:
        await asyncio.sleep(fault.seconds)
        if fault.status == 0 and request.transport is not None:
            request.transport.abort()
        return _error(fault.status or 500, fault.description, fault.parameters)

    async def _get_me(self, _: dict[str, Any]) -> web.Response:
        return _ok({"id": 123456, "is_bot": True, "first_name": "诗", "username": BOT_NAME})

    async def _set_webhook(self, data: dict[str, Any]) -> web.Response:
        self.webhook = data
        return _ok(True)

    async def _delete_webhook(self, _: dict[str, Any]) -> web.Response:
        self.webhook = {}
        return _ok(True)

    async def _get_updates(self, data: dict[str, Any]) -> web.Response:
        if self.webhook:
            return _error(409, "Conflict: can't use getUpdates method while webhook is active")
        async with self._changed:
            self._poll += 1
            mine = self._poll
            self._changed.notify_all()
            offset = data.get("offset") or 0
            for number in [number for number in self._updates if number < offset]:
                del self._updates[number]
            self._changed.notify_all()
            try:
                async with asyncio.timeout(data.get("timeout") or 0):
                    await self._changed.wait_for(lambda: bool(self._updates) or self._poll != mine)
            except TimeoutError:
                return _ok([])
            if self._poll != mine:
                return _error(409, "Conflict: terminated by other getUpdates request")
            batch = [self._updates[number] for number in sorted(self._updates)][: data.get("limit") or 100]
            self.handed_out |= {update["update_id"] for update in batch}
            self._changed.notify_all()
            return _ok(batch)

    async def _send_message(self, data: dict[str, Any]) -> web.Response:
        chat, text = int(data["chat_id"]), str(data["text"])
        if chat in self.migrated:
            description = "Bad Request: group chat was upgraded to a supergroup chat"
            return _error(400, description, {"migrate_to_chat_id": self.migrated[chat]})
        if not text.strip() or len(_TAGS.sub("", text)) > 4096:
            return _error(400, "Bad Request: message text is empty or too long")
        if data.get("parse_mode") == "HTML" and re.search(r"[<>]|&(?!lt;|gt;|amp;|quot;)", _TAGS.sub("", text)):
            return _error(400, "Bad Request: can't parse entities")
        reply_to = (data.get("reply_parameters") or {}).get("message_id")
        if reply_to in self.lost_messages:
            return _error(400, "Bad Request: message to be replied not found")
        return await self._show(self.sent, Sent(chat, text, reply_to, data.get("message_thread_id")))

    async def _edit_message_text(self, data: dict[str, Any]) -> web.Response:
        number, text = int(data["message_id"]), str(data["text"])
        if number not in self.shown:
            return _error(400, "Bad Request: message to edit not found")
        if self.shown[number] == text:
            return _error(400, "Bad Request: message is not modified")
        return await self._show(self.edits, Sent(int(data["chat_id"]), text, None, None), number)

    async def _send_photo(self, data: dict[str, Any]) -> web.Response:
        if len(_TAGS.sub("", str(data.get("caption", "")))) > 1024:
            return _error(400, "Bad Request: message caption is too long")
        return await self._show(self.photos, Sent(int(data["chat_id"]), str(data.get("caption", "")), None, None))

    async def _show(self, among: list[Sent], message: Sent, number: int | None = None) -> web.Response:
        async with self._changed:
            if number is None:
                self._next += 1
                number = self._next
            among.append(message)
            self.shown[number] = message.text
            self._changed.notify_all()
        return _ok({"message_id": number, "date": 1_700_000_000, "chat": {"id": message.chat, "type": "private"}})


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


def _ok(result: object) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def _error(code: int, description: str, parameters: dict[str, int] | None = None) -> web.Response:
    body: dict[str, object] = {"ok": False, "error_code": code, "description": description}
    if parameters:
        body["parameters"] = parameters
    return web.json_response(body, status=code)
