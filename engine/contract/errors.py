"""The errors that users see. Every other exception is a bug and belongs in the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from engine.contract.codec import decode

ErrorCode = Literal[
    "empty",
    "not_chinese",
    "too_long",
    "control_characters",
    "unknown_form",
    "unknown_rhyme",
    "length_mismatch",
    "refused",
    "rate_limited",
    "busy",
    "no_worker",
    "deadline",
]
ERROR_CODES: tuple[ErrorCode, ...] = get_args(ErrorCode)


class PoemError(Exception):
    """A request that cannot be served, and what to send instead.

    ``code`` is part of the public interface; ``zh`` (simplified) and ``en`` are one sentence each for the user.
    ``retry_after``: in seconds, if waiting helps.
    """

    def __init__(self, code: ErrorCode, zh: str, en: str, retry_after: int | None = None) -> None:
        super().__init__(f"{zh} {en}")
        self.code: ErrorCode = code
        self.zh = zh
        self.en = en
        self.retry_after = retry_after

    def to_json(self) -> dict[str, object]:
        """For the way from a worker to the bot, in both languages."""
        return {"code": self.code, "zh": self.zh, "en": self.en, "retry_after": self.retry_after}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        fields = decode(_ErrorFields, value)
        return cls(fields.code, fields.zh, fields.en, fields.retry_after)


@dataclass(frozen=True)
class _ErrorFields:
    """The JSON form of a ``PoemError``."""

    code: ErrorCode
    zh: str
    en: str
    retry_after: int | None = None
