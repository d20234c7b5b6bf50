"""The one family of errors that a person sees; everything else is a bug and belongs in the log."""

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
    """A request that cannot be served, and what the person can send instead.

    ``code`` is fixed by the interface; ``zh`` (simplified) and ``en`` are one sentence each for a person.
    ``retry_after``: seconds, where waiting helps.
    """

    def __init__(self, code: ErrorCode, zh: str, en: str, retry_after: int | None = None) -> None:
        super().__init__(f"{zh} {en}")
        self.code: ErrorCode = code
        self.zh = zh
        self.en = en
        self.retry_after = retry_after

    def to_json(self) -> dict[str, object]:
        """As it travels from a worker to the bot, in both languages."""
        return {"code": self.code, "zh": self.zh, "en": self.en, "retry_after": self.retry_after}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        said = decode(_Said, value)
        return cls(said.code, said.zh, said.en, said.retry_after)


@dataclass(frozen=True)
class _Said:
    """A ``PoemError`` as it travels."""

    code: ErrorCode
    zh: str
    en: str
    retry_after: int | None = None
