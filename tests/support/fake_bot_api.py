"""The server of the fake Bot API: offsets and refusals like Telegram's, and faults on request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections import Counter
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
    ``body``: what is answered instead of an error of the Bot API; ``drips``: a byte at a time, for ever.
    """

    method: str
    status: int = 500
    description: str = "Internal Server Error"
    parameters: dict[str, int] = field(default_factory=dict)
    chat: int | None = None
    times: int = 1
    after: bool = False
    seconds: float = 0.0
    body: str | None = None
    drips: bool = False


@dataclass(frozen=True)
class Sent:
    chat: int
    text: str
    reply_to: int | None
    topic: int | None
    number: int = field(default=0, compare=False)
    markup: dict[str, Any] | None = field(default=None, compare=False)
    inline: str | None = None
    at: float = field(default_factory=time.monotonic, compare=False)

    @property
    def buttons(self) -> dict[str, str]:
        """Label → data of the buttons below."""
        rows = (self.markup or {}).get("inline_keyboard", [])
        return {
            button["text"]: button.get("callback_data", button.get("switch_inline_query", ""))
            for row in rows
            for button in row
        }

    @property
    def plain(self) -> str:
        return _TAGS.sub("", self.text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


class BotApi:
    """Holds updates until they are confirmed, records what is sent.

    ``sent``: messages that ring; ``hushed``: those sent without a sound. ``answers``: to callbacks, by the query's id;
    ``offers``: to inline queries. ``menus``: lists of commands by scope, chat and language; ``descriptions``:
    of the bot, by name and language.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.edits: list[Sent] = []
        self.photos: list[Sent] = []
        self.uploads: list[bytes] = []
        self.hushed: list[Sent] = []
        self.deleted: set[int] = set()
        self.actions: list[tuple[int, str, int | None]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.offers: dict[str, dict[str, Any]] = {}
        self.menus: dict[tuple[str, int | None, str], list[str]] = {}
        self.descriptions: dict[tuple[str, str], str] = {}
        self.shown: dict[int | str, tuple[str, dict[str, Any] | None]] = {}
        self.calls: Counter[str] = Counter()
        self.handed_out: set[int] = set()
        self.webhook: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self.migrated: dict[int, int] = {}
        self.lost_messages: set[int] = set()
        self.emptied: set[object] = set()
        """Chats in which every message was deleted."""
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

    # As Telegram does.

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        form = await request.post()
        data = {
            name: _value(value) for name, value in [*request.query.items(), *form.items()] if isinstance(value, str)
        }
        self.uploads += [value.file.read() for value in form.values() if isinstance(value, web.FileField)]
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

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        await asyncio.sleep(fault.seconds)
        if fault.status == 0 and request.transport is not None:
            request.transport.abort()
        if fault.body is not None:
            return await (drip(request, fault.body) if fault.drips else _plain(fault.status, fault.body))
        return _error(fault.status or 500, fault.description, fault.parameters)

    async def _get_me(self, _: dict[str, Any]) -> web.Response:
        return _ok(
            {"id": 123456, "is_bot": True, "first_name": "诗", "username": BOT_NAME, "supports_inline_queries": True}
        )

    async def _set_webhook(self, data: dict[str, Any]) -> web.Response:
        self.webhook = data
        return _ok(True)

    async def _get_webhook_info(self, _: dict[str, Any]) -> web.Response:
        url = self.webhook.get("url", "")
        return _ok({"url": url, "has_custom_certificate": False, "pending_update_count": 0})

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
        if (refusal := self._refusal(data, str(data["text"]), 4096)) is not None:
            return refusal
        return await self._new(self.hushed if data.get("disable_notification") else self.sent, data, str(data["text"]))

    async def _send_photo(self, data: dict[str, Any]) -> web.Response:
        caption = str(data.get("caption", ""))
        if (refusal := self._refusal(data, caption or "-", 1024)) is not None:
            return refusal
        return await self._new(self.photos, data, caption)

    async def _send_chat_action(self, data: dict[str, Any]) -> web.Response:
        async with self._changed:
            self.actions.append((int(data["chat_id"]), str(data["action"]), data.get("message_thread_id")))
            self._changed.notify_all()
        return _ok(True)

    async def _edit_message_text(self, data: dict[str, Any]) -> web.Response:
        name = _edited(data)
        if name not in self.shown:
            return _error(400, "Bad Request: message to edit not found")
        text, markup = str(data["text"]), data.get("reply_markup")
        if self.shown[name] == (text, markup):
            return _error(400, "Bad Request: message is not modified")
        if (refusal := _misfit(text, 4096, data) or _bad_markup(markup)) is not None:
            return refusal
        inline = name if isinstance(name, str) else None
        edit = Sent(int(data.get("chat_id", 0)), text, None, None, 0 if inline else int(name), markup, inline)
        return await self._show(self.edits, edit, name)

    async def _edit_message_reply_markup(self, data: dict[str, Any]) -> web.Response:
        name, markup = _edited(data), data.get("reply_markup")
        if name not in self.shown:
            return _error(400, "Bad Request: message to edit not found")
        if self.shown[name][1] == markup:
            return _error(400, "Bad Request: message is not modified")
        if (refusal := _bad_markup(markup)) is not None:
            return refusal
        async with self._changed:
            self.shown[name] = (self.shown[name][0], markup)
            self._changed.notify_all()
        return _ok(True) if isinstance(name, str) else _message(int(name), int(data["chat_id"]))

    async def _delete_message(self, data: dict[str, Any]) -> web.Response:
        number = int(data["message_id"])
        async with self._changed:
            if self.shown.pop(number, None) is None:
                return _error(400, "Bad Request: message to delete not found")
            self.deleted.add(number)
            self._changed.notify_all()
        return _ok(True)

    async def _answer_callback_query(self, data: dict[str, Any]) -> web.Response:
        if len(str(data.get("text", ""))) > 200:
            return _error(400, "Bad Request: MESSAGE_TOO_LONG")
        if data["callback_query_id"] in self.answers:
            return _error(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        async with self._changed:
            self.answers[data["callback_query_id"]] = data
            self._changed.notify_all()
        return _ok(True)

    async def _answer_inline_query(self, data: dict[str, Any]) -> web.Response:
        results = data["results"]
        ids = [str(result["id"]) for result in results]
        if len(set(ids)) < len(ids) or any(not 1 <= len(each.encode()) <= 64 for each in ids) or len(ids) > 50:
            return _error(400, "Bad Request: RESULT_ID_INVALID")
        for result in results:
            content = result["input_message_content"]
            if (
                bad := _misfit(content["message_text"], 4096, content) or _bad_markup(result.get("reply_markup"))
            ) is not None:
                return bad
        async with self._changed:
            self.offers[data["inline_query_id"]] = data
            self._changed.notify_all()
        return _ok(True)

    async def _set_my_commands(self, data: dict[str, Any]) -> web.Response:
        commands, scope = data["commands"], data.get("scope") or {"type": "default"}
        for command in commands:
            if not re.fullmatch("[a-z0-9_]{1,32}", command["command"]) or not 1 <= len(command["description"]) <= 256:
                return _error(400, "Bad Request: BOT_COMMAND_INVALID")
        code = str(data.get("language_code", ""))
        if len(code) not in (0, 2):
            return _error(400, "Bad Request: LANGUAGE_CODE_INVALID")
        async with self._changed:
            place = (str(scope["type"]), scope.get("chat_id"), code)
            self.menus[place] = [f"/{command['command']} {command['description']}" for command in commands]
            self._changed.notify_all()
        return _ok(True)

    async def _set_my_description(self, data: dict[str, Any]) -> web.Response:
        return await self._describe("description", data, 512)

    async def _set_my_short_description(self, data: dict[str, Any]) -> web.Response:
        return await self._describe("short_description", data, 120)

    async def _describe(self, field_name: str, data: dict[str, Any], most: int) -> web.Response:
        text = str(data.get(field_name, ""))
        if len(text) > most:
            return _error(400, "Bad Request: description is too long")
        async with self._changed:
            self.descriptions[field_name, str(data.get("language_code", ""))] = text
            self._changed.notify_all()
        return _ok(True)

    def _refusal(self, data: dict[str, Any], text: str, most: int) -> web.Response | None:
        """Why a new message is not accepted."""
        chat = int(data["chat_id"])
        if chat in self.migrated:
            description = "Bad Request: group chat was upgraded to a supergroup chat"
            return _error(400, description, {"migrate_to_chat_id": self.migrated[chat]})
        if self._replies_to_nothing(data) and not data["reply_parameters"].get("allow_sending_without_reply"):
            return _error(400, "Bad Request: message to be replied not found")
        return _misfit(text, most, data) or _bad_markup(data.get("reply_markup"))

    def _replies_to_nothing(self, data: dict[str, Any]) -> bool:
        replied = (data.get("reply_parameters") or {}).get("message_id")
        return replied is not None and (replied in self.lost_messages or int(data["chat_id"]) in self.emptied)

    async def _new(self, among: list[Sent], data: dict[str, Any], text: str) -> web.Response:
        self._next += 1
        reply_to = None if self._replies_to_nothing(data) else (data.get("reply_parameters") or {}).get("message_id")
        topic, markup = data.get("message_thread_id"), data.get("reply_markup")
        return await self._show(
            among, Sent(int(data["chat_id"]), text, reply_to, topic, self._next, markup), self._next
        )

    async def _show(self, among: list[Sent], message: Sent, name: int | str) -> web.Response:
        async with self._changed:
            among.append(message)
            self.shown[name] = (message.text, message.markup)
            self._changed.notify_all()
        return _ok(True) if isinstance(name, str) else _message(name, message.chat)


def _message(number: int, chat: int) -> web.Response:
    return _ok({"message_id": number, "date": 1_700_000_000, "chat": {"id": chat, "type": "private"}})


def _edited(data: dict[str, Any]) -> int | str:
    """Which message is to be edited."""
    return str(data["inline_message_id"]) if "inline_message_id" in data else int(data["message_id"])


def _misfit(text: str, most: int, data: dict[str, Any]) -> web.Response | None:
    if not text.strip() or len(_TAGS.sub("", text)) > most:
        return _error(400, "Bad Request: message text is empty or too long")
    if data.get("parse_mode") == "HTML" and re.search(r"[<>]|&(?!lt;|gt;|amp;|quot;)", _TAGS.sub("", text)):
        return _error(400, "Bad Request: can't parse entities")
    return None


def _bad_markup(markup: Any) -> web.Response | None:
    for row in (markup or {}).get("inline_keyboard", []):
        for button in row:
            if not button["text"]:
                return _error(400, "Bad Request: BUTTON_TEXT_EMPTY")
            if "switch_inline_query" in button:
                continue
            if not 1 <= len(str(button["callback_data"]).encode()) <= 64:
                return _error(400, "Bad Request: BUTTON_DATA_INVALID")
    return None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


async def _plain(status: int, body: str) -> web.Response:
    return web.Response(status=status, text=body)


async def drip(request: web.Request, body: str, every: float = 0.1) -> web.StreamResponse:
    """A byte at a time, until the other end has enough."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    with contextlib.suppress(ConnectionError):
        for byte in body.encode():
            await answer.write(bytes([byte]))
            await asyncio.sleep(every)
    return answer


def _ok(result: object) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def _error(code: int, description: str, parameters: dict[str, int] | None = None) -> web.Response:
    body: dict[str, object] = {"ok": False, "error_code": code, "description": description}
    if parameters:
        body["parameters"] = parameters
    return web.json_response(body, status=code)
