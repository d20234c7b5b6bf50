"""Who sent an update, from where, in which language."""

from __future__ import annotations

from dataclasses import dataclass

from telegram import Message, Update, User
from telegram.constants import ChatType

from bot.views.messages import Language, as_language, language_of
from engine.contract.queue.chats import Chats
from engine.contract.queue.messages import Chat


@dataclass(frozen=True)
class MessageContext:
    """``sender``: to whom the limits apply; ``idempotency_key``: identifies the update, so that repetitions add
    nothing."""

    text: str
    private: bool
    to: Chat
    user: int | None
    sender: str
    language: Language
    idempotency_key: str

    @classmethod
    async def of(cls, message: Message, update_id: int, chats: Chats) -> MessageContext:
        user = message.from_user
        return cls(
            message.text or message.caption or "",
            message.chat.type == ChatType.PRIVATE,
            Chat(message.chat.id, message.message_id, topic_of(message)),
            None if user is None else user.id,
            _author(message) or "tg:None",
            await language_for(user, chats),
            update_key(update_id),
        )


def sender_of(update: Update) -> str | None:
    """To whom the limits apply for an update of any kind."""
    if update.message is not None:
        return _author(update.message)
    cause = update.callback_query or update.inline_query or update.chosen_inline_result
    return None if cause is None else sender_key(cause.from_user)


def sender_key(user: User) -> str:
    return f"tg:{user.id}"


def update_key(update_id: int) -> str:
    """The idempotency key of an update."""
    return f"u{update_id}"


def _author(message: Message) -> str | None:
    # Anonymous administrators and channels share one user ID; the chat they write as distinguishes them.
    author = message.sender_chat or message.from_user
    return None if author is None else f"tg:{author.id}"


def topic_of(message: Message) -> int | None:
    """The topic of a forum; other threads have a number too, but cannot be written to."""
    return message.message_thread_id if message.is_topic_message else None


async def language_for(user: User | None, chats: Chats) -> Language:
    """The language that the user chose, else that of their Telegram app."""
    chosen = None if user is None else await chats.language(user.id)
    return language_of(user.language_code if user else None) if chosen is None else as_language(chosen)
