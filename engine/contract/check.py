"""A request to examine a poem, and the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from engine.contract.codec import CodecError, decode
from engine.contract.errors import PoemError
from engine.contract.pasted import poem_lines
from engine.contract.poem import VERSION
from engine.contract.text import has_control_characters

MAX_CHECK_LENGTH = 400
"""Maximum number of Chinese characters in a poem to examine."""


@dataclass(frozen=True)
class CheckRequest:
    """``text``: a poem as typed, its lines separated by punctuation or line breaks."""

    text: str

    def to_json(self) -> dict[str, object]:
        return {"v": VERSION, "check": self.text}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        if value.get("v", VERSION) != VERSION or not isinstance(value["check"], str):
            raise CodecError("'check' must be a poem's text")
        return cls(value["check"])

    def lines(self) -> list[str]:
        """The lines, as written. PoemError: the text is empty, too long or has control characters."""
        if has_control_characters(self.text):
            raise PoemError(
                "control_characters",
                "诗里有不可见的控制字符，请重新输入。",
                "There are control characters in the poem; please type it again.",
            )
        lines = poem_lines(self.text)
        if not lines:
            raise PoemError(
                "empty",
                "请附上一首诗，例如：/check 白日依山尽，黄河入海流。欲穷千里目，更上一层楼。也可回复一首诗说 /check",
                "Please send a poem, for example /check 白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
                "Or reply to a poem with /check.",
            )
        if (count := len("".join(lines))) > MAX_CHECK_LENGTH:
            raise PoemError(
                "too_long",
                f"一次最多查{MAX_CHECK_LENGTH}字，现有{count}字；请分开来查。",
                f"At most {MAX_CHECK_LENGTH} characters are examined at once; this has {count}. Send it in parts.",
            )
        return lines


@dataclass(frozen=True)
class ProsodyFault:
    """A fault by its Chinese ``name``; ``line`` and ``place`` count from 1, ``place`` is None for a whole line.

    ``wanted``: the required tone, 平 or 仄; for a whole line its pattern, such as 中仄中平仄; empty for a rhyme fault.
    """

    name: str
    line: int
    place: int | None = None
    character: str = ""
    wanted: str = ""


@dataclass(frozen=True)
class Examination:
    """``rhymes``: the rhyme words in order. ``template`` and ``rhyme`` are None if the form has none.

    ``lines``: the poem as written, without title or punctuation. ``tones``: for each line one mark per character: 平,
    仄, 中 if the character has both, ？ if its tone is unknown.
    """

    form: str
    template: str | None
    rhyme: str | None
    rhymes: tuple[str, ...]
    faults: tuple[ProsodyFault, ...]
    lines: tuple[str, ...] = ()
    tones: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {"v": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        if not isinstance(value, Mapping) or value.get("v") != VERSION:
            raise CodecError(f"an examination of version {VERSION} is expected")
        return decode(cls, value)
