"""Telegram as seen by its users, on top of the fake Bot API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.fake_bot_api import BOT_NAME, BotApi, Sent
from tests.support.waiting import patience


class FakeTelegram(BotApi):
    """Sends what users write, press and choose, and waits for what the bot sends."""

    async def write(self, text: str | None, **options: Any) -> int:
        """A user sends a text; returns the update's ID. Options as for ``update``."""
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
        """An update as Telegram would send it. ``chat`` below 0: a group; ``field``: ``edited_message`` and so on."""
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

    async def press(self, sent: Sent, label: str, *, user: int = 7, language: str = "zh-hans") -> str:
        """A user presses a button below a message, as it is currently shown; returns the query's ID."""
        _, markup = self.shown[sent.inline or sent.number]
        data = Sent(0, "", None, None, markup=markup).buttons[label]
        return await self.press_data(sent, data, user=user, language=language)

    async def press_data(self, sent: Sent, data: str, *, user: int = 7, language: str = "zh-hans") -> str:
        made = self.update(None, chat=sent.chat, kind="private" if sent.chat > 0 else "supergroup", topic=sent.topic)
        query: dict[str, Any] = {"id": f"q{made['update_id']}", "chat_instance": "1", "data": data}
        query["from"] = {"id": user, "is_bot": False, "first_name": "某", "language_code": language}
        if sent.inline is not None:
            query["inline_message_id"] = sent.inline
        else:
            me = {"id": 123456, "is_bot": True, "first_name": "诗", "username": BOT_NAME}
            query["message"] = made["message"] | {"message_id": sent.number, "from": me, "text": sent.plain}
        await self.put({"update_id": made["update_id"], "callback_query": query})
        return str(query["id"])

    async def answered(self, query: str) -> dict[str, Any]:
        """The text with which a button press was answered."""
        await self.until(lambda: query in self.answers)
        return self.answers[query]

    async def type_inline(self, text: str, *, user: int = 7, language: str = "zh-hans") -> list[dict[str, Any]]:
        """A user types ``@bot text``; returns the offered results."""
        number = self.update(None)["update_id"]
        person = {"id": user, "is_bot": False, "first_name": "某", "language_code": language}
        query = {"id": f"q{number}", "from": person, "query": text, "offset": ""}
        await self.put({"update_id": number, "inline_query": query})
        await self.until(lambda: f"q{number}" in self.offers)
        return list(self.offers[f"q{number}"]["results"])

    async def choose(
        self, result: dict[str, Any], text: str, *, user: int = 7, language: str = "zh-hans", feedback: bool = True
    ) -> Sent:
        """The user chooses a result, which is sent in their name. ``feedback``: the bot is notified."""
        number = self.update(None)["update_id"]
        content, inline = result["input_message_content"], f"inline{number}"
        sent = Sent(0, content["message_text"], None, None, markup=result.get("reply_markup"), inline=inline)
        self.shown[inline] = (sent.text, sent.markup)
        if feedback:
            person = {"id": user, "is_bot": False, "first_name": "某", "language_code": language}
            chosen = {"result_id": result["id"], "from": person, "query": text}
            if sent.markup is not None:  # otherwise Telegram does not report the message
                chosen["inline_message_id"] = inline
            await self.put({"update_id": number, "chosen_inline_result": chosen})
        return sent

    async def messages(self, count: int, chat: int | None = None) -> list[Sent]:
        """The messages sent (to ``chat``), once there are ``count``."""
        async with patience(), self._changed:
            await self._changed.wait_for(lambda: len(self._to(chat)) >= count)
        return self._to(chat)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the sent, edited or shown messages fulfil ``condition``."""
        async with patience(), self._changed:
            await self._changed.wait_for(condition)

    async def confirmed(self, update_id: int) -> None:
        """Wait until the bot has requested later updates."""
        async with patience(), self._changed:
            await self._changed.wait_for(lambda: update_id not in self._updates)

    async def taken(self, update_id: int) -> None:
        """Wait until the bot has been given an update."""
        async with patience(), self._changed:
            await self._changed.wait_for(lambda: update_id in self.handed_out)

    async def called(self, method: str, times: int = 1) -> None:
        async with patience(), self._changed:
            await self._changed.wait_for(lambda: self.calls[method] >= times)

    def _to(self, chat: int | None) -> list[Sent]:
        return [sent for sent in self.sent if chat is None or sent.chat == chat]
