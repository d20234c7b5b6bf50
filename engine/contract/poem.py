"""The request for a poem and the poem, with their JSON form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from engine.contract.codec import CodecError, decode

VERSION = 1
"""Version of the JSON form. A worker leaves requests of a newer version to newer workers."""

Mode = Literal["continue", "acrostic", "theme"]
MODES: tuple[Mode, ...] = get_args(Mode)

FORMS = ("auto", "五绝", "七绝", "五律", "七律", "排律", "古风", "五言", "七言")
MAX_TEXT = 32
MAX_HEADS = 20
MAX_MOOD = 64
MAX_CANDIDATES = 64


@dataclass(frozen=True)
class PoemRequest:
    """What a user asks for, as typed (``engine.contract.outline`` interprets it).

    ``text``: the first line(s), the heads of an acrostic, or the theme. ``form``: one of ``FORMS`` in either script.
    ``rhyme``: a level-tone 平水韵 group such as 七阳. ``mood`` (意境): verse that sets the mood but does not appear.
    ``lines``: their number, for 排律 and acrostics. ``seed`` None: random. ``candidates``: how many poems to choose
    from; None: the worker decides.
    """

    mode: Mode
    text: str
    form: str = "auto"
    rhyme: str | None = None
    mood: str | None = None
    lines: int | None = None
    seed: int | None = None
    candidates: int | None = None

    def to_json(self) -> dict[str, object]:
        return {"v": VERSION, **dataclasses.asdict(self)}

    def brief(self) -> dict[str, object]:
        """The shortest JSON form that ``from_json`` reads: only the fields that differ from their default."""
        return {f.name: item for f in dataclasses.fields(self) if (item := getattr(self, f.name)) != f.default}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Decode a request. CodecError names the first field that is unknown or has a wrong value."""
        fields = _checked_fields(value, {f.name for f in dataclasses.fields(cls)})
        if fields.get("mode") not in MODES:
            raise CodecError(
                '\'mode\' must be "continue", "acrostic" or "theme"', '\'mode\' 须为 "continue"、"acrostic" 或 "theme"'
            )
        for name in ("text", "form", "rhyme", "mood"):
            optional = name != "text"
            if not isinstance(fields.get(name), str) and not (optional and fields.get(name) is None):
                raise CodecError(f"'{name}' must be a string", f"'{name}' 须为字符串")
        _check_integer(fields, "lines", 1, 10_000)
        _check_integer(fields, "seed", 0, 2**63 - 1)
        _check_integer(fields, "candidates", 1, MAX_CANDIDATES)
        return cls(**{name: item for name, item in fields.items() if item is not None})


@dataclass(frozen=True)
class Poem:
    """A finished poem. ``lines``: without punctuation; ``text``: punctuated, one couplet per row.

    ``seed``: the chosen candidate's; the same request with it and ``candidates=1`` gives this poem again.
    ``rhyme`` and ``template`` are None if the form has none. ``model``: the version that wrote it.
    """

    mode: Mode
    text: str
    lines: tuple[str, ...]
    form: str
    seed: int
    candidates: int
    model: str
    rhyme: str | None = None
    template: str | None = None
    mood: str | None = None

    def to_json(self) -> dict[str, object]:
        return {"v": VERSION, **dataclasses.asdict(self), "lines": list(self.lines)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        names = {f.name for f in dataclasses.fields(cls)}
        fields = _checked_fields(value, names)
        if missing := names - fields.keys():
            raise CodecError(f"'{min(missing)}' is missing")
        return decode(cls, fields)


def _checked_fields(value: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise CodecError("a JSON object is expected", "须为 JSON 对象")
    version = value.get("v", VERSION)
    if version != VERSION:
        raise CodecError(
            f"'v' is {version!r}; this program reads version {VERSION}", f"'v' 是 {version!r}；这里只懂第 {VERSION} 版"
        )
    if unknown := sorted(value.keys() - names - {"v"}):
        known = ", ".join(sorted(names))
        raise CodecError(
            f"unknown field '{unknown[0]}'; known are {known}", f"没有 '{unknown[0]}' 这一项；可用：{known}"
        )
    return {name: item for name, item in value.items() if name != "v"}


def _check_integer(fields: Mapping[str, Any], name: str, low: int, high: int) -> None:
    value = fields.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high):
        raise CodecError(
            f"'{name}' must be a whole number from {low} to {high}", f"'{name}' 须为 {low} 到 {high} 的整数"
        )
