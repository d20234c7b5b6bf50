"""The one family of errors that a person sees; everything else is a bug and belongs in the log."""

from __future__ import annotations

from typing import Literal, get_args

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
ERROR_CODES: tuple[str, ...] = get_args(ErrorCode)


class PoemError(Exception):
    """A request that cannot be served, with what the person can send instead.

    ``code`` is fixed by the interface; ``values`` are what a message needs (lengths, seconds, the forms
    on offer), so that the bot can say it in any language. ``str(error)`` is the message in Chinese and English.
    """

    def __init__(self, code: ErrorCode, message: str, **values: str | int) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message
        self.values = values

    def to_json(self) -> dict[str, object]:
        return {"error": {"code": self.code, "message": self.message}}
