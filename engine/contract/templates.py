"""The templates of regulated verse, built from its four kinds of line: what a poem's ``template`` names.

Source of the rules: 王力《诗词格律》, chapter 2. The four lines of five characters are
甲 仄仄平平仄, 乙 平平仄仄平, 丙 平平平仄仄, 丁 仄仄仄平平; seven characters put two of the other tone before.
A couplet opposes its lines (对), and a couplet takes up the second tone of the line before it (粘), so the
lines of a poem follow 甲乙丙丁甲乙丙丁… from wherever they begin; a first line that rhymes is the kind that
ends in a level tone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from engine.contract.poem import FORMS

Tone = Literal["平", "仄"]
MOST_LINES = 100
_OPPOSITE: dict[Tone, Tone] = {"平": "仄", "仄": "平"}
_CYCLE = ("仄仄平平仄", "平平仄仄平", "平平平仄仄", "仄仄仄平平")
_STARTS = (
    # by the second tone of a five-character line and whether line 1 rhymes; the place of line 1 in the cycle
    ("仄起首句不入韵", 0),
    ("平起首句不入韵", 2),
    ("仄起首句入韵", 3),
    ("平起首句入韵", 1),
)


@dataclass(frozen=True)
class Line:
    """One line of a template.

    ``tones``: the tone that stands there, a character each. ``strict``: whether it may not be the other
    one; 一三五不论 frees the odd places but where freeing makes 孤平, 三平尾 or 三仄尾.
    """

    tones: tuple[Tone, ...]
    strict: tuple[bool, ...]

    @property
    def rhymes(self) -> bool:
        return self.tones[-1] == "平"

    @property
    def guping(self) -> int | None:
        """The place that makes 孤平 when oblique (the line …平平仄仄平), None in the other kinds.

        An oblique tone there is rescued by a level one two places on (孤平拗救).
        """
        return len(self.tones) - 5 if "".join(self.tones[-5:]) == _CYCLE[1] else None

    @property
    def turned(self) -> Line:
        """The kind of line with the same end and the other tone at its even places: what breaks 粘 or 对."""
        kind = _CYCLE.index("".join(self.tones[-5:]))
        return _line((kind + 2) % 4, len(self.tones))

    @property
    def pattern(self) -> str:
        """As books print it, a character each: 平, 仄, and 中 where either may stand."""
        return "".join(tone if held else "中" for tone, held in zip(self.tones, self.strict, strict=True))


@dataclass(frozen=True)
class Template:
    """``name`` as in 五律·仄起首句不入韵; ``lines`` from first to last."""

    name: str
    lines: tuple[Line, ...]


@cache
def templates(form: str, length: int, count: int) -> tuple[Template, ...]:
    """The four templates of ``count`` lines of ``length`` (5 or 7) characters.

    An odd number of lines closes on a line that rhymes, so that the poem does not end in the air.
    """
    found = []
    for name, first in _STARTS:
        kinds = [first, *((1 if first in (0, 3) else 3) + i for i in range(count - 1))]
        if count % 2 and count > 1:
            kinds[-1] = kinds[-2]  # the only kind that both takes up the tone (粘) and rhymes
        found.append(
            Template(f"{form}·{_seven(name) if length == 7 else name}", tuple(_line(k % 4, length) for k in kinds))
        )
    return tuple(found)


def named(name: str, length: int, count: int) -> Template | None:
    """The template that a poem of ``count`` lines of ``length`` characters names; None: there is none of that name."""
    if length not in (5, 7) or not 1 <= count <= MOST_LINES:
        return None
    form = name.partition("·")[0]
    if form not in FORMS:  # before the cache sees what anybody sends
        return None
    return next((found for found in templates(form, length, count) if found.name == name), None)


def _seven(name: str) -> str:
    """平起 and 仄起 name the second character, which two more in front turn round."""
    return name.translate(str.maketrans("平仄", "仄平"))


def _line(kind: int, length: int) -> Line:
    tones: list[Tone] = ["平" if c == "平" else "仄" for c in _CYCLE[kind]]
    # places 1 and 3 of the five: free but where a rule below holds them
    strict = [kind == 1, True, kind in (2, 3), True, True]
    if length == 7:
        tones = [_OPPOSITE[tones[1]]] * 2 + tones
        strict = [False, True, *strict]
    return Line(tuple(tones), tuple(strict))
