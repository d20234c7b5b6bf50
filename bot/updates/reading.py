"""Parses raw updates.

Only fields that the bot uses are read, and each must have the right type; all others are dropped, so that additions to
the Bot API cannot break an update.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from telegram import Update

from bot.bot_api import MAX_UPDATE_ID

Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class UnreadableUpdateError(ValueError):
    """``number``: the update's, if it can be read. The message contains nothing of the update's content."""

    def __init__(self, reason: str, number: int | None) -> None:
        super().__init__(reason)
        self.number = number


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _User(_Model):
    id: Number
    is_bot: bool = False
    first_name: str = ""
    language_code: str | None = None


class _Chat(_Model):
    id: Number
    type: str


class _Quoted(_Model):
    """A message that another one replies to."""

    message_id: Number
    date: Annotated[int, Field(ge=0, lt=2**33)] = 1
    chat: _Chat
    user: _User | None = Field(None, alias="from")
    text: str | None = None
    caption: str | None = None
    message_thread_id: Number | None = None
    is_topic_message: bool | None = None


_ATTACHMENTS = (
    *("animation", "audio", "contact", "dice", "document", "location", "photo", "poll"),
    *("sticker", "story", "venue", "video", "video_note", "voice"),
)


class _Message(_Quoted):
    """``attachment``: what was sent instead of a text, by Telegram's field name."""

    sender_chat: _Chat | None = None
    reply_to_message: _Quoted | None = None
    media_group_id: str | None = None
    attachment: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_attachment(cls, raw: object) -> object:
        if not isinstance(raw, dict):
            return raw
        return {**raw, "attachment": next((name for name in _ATTACHMENTS if name in raw), None)}


class _CallbackQuery(_Model):
    id: str
    user: _User = Field(alias="from")
    chat_instance: str = ""
    data: str | None = None
    message: _Quoted | None = None
    inline_message_id: str | None = None


class _InlineQuery(_Model):
    id: str
    user: _User = Field(alias="from")
    query: str
    offset: str = ""


class _ChosenInlineResult(_Model):
    result_id: str
    user: _User = Field(alias="from")
    query: str = ""
    inline_message_id: str | None = None


class _Update(_Model):
    update_id: Annotated[int, Field(ge=0, le=MAX_UPDATE_ID)]
    message: _Message | None = None
    callback_query: _CallbackQuery | None = None
    inline_query: _InlineQuery | None = None
    chosen_inline_result: _ChosenInlineResult | None = None


UPDATE_KINDS = [name for name in _Update.model_fields if name != "update_id"]
"""The kinds of updates to request from Telegram."""


def read_update(raw: object) -> Update:
    """Raises UnreadableUpdateError."""
    try:
        fields = _Update.model_validate(raw).model_dump(by_alias=True, exclude_none=True)
        return Update.de_json(fields, None)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_url=False, include_input=False)[0]["loc"])
        raise UnreadableUpdateError(where or "no object", _update_id(raw)) from None
    except Exception as error:
        # The library may raise anything.
        raise UnreadableUpdateError(type(error).__name__, _update_id(raw)) from None


def _update_id(raw: object) -> int | None:
    number = raw.get("update_id") if isinstance(raw, dict) else None
    usable = isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= MAX_UPDATE_ID
    return number if usable else None
