"""The templates of regulated verse, built from its four kinds of lines; a poem's ``template`` names one.

Source of the rules: 王力《诗词格律》, chapter 2. The four lines of five characters are
甲 仄仄平平仄, 乙 平平仄仄平, 丙 平平平仄仄, 丁 仄仄仄平平; lines of seven characters have two of the opposite tone
in front. The lines of a couplet have opposite tones (对), and a couplet begins with the second tone of the line
before it (粘), so the lines of a poem cycle through 甲乙丙丁 from any starting point; a first line that rhymes is of
the kind that ends in a level tone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from engine.contract.poem import FORMS

Tone = Literal["平", "仄"]
MAX_TEMPLATE_LINES = 100
_OPPOSITE: dict[Tone, Tone] = {"平": "仄", "仄": "平"}
_CYCLE = ("仄仄平平仄", "平平仄仄平", "平平平仄仄", "仄仄仄平平")
_CYCLE_STARTS = (
    # named by the second tone of a five-character line and whether line 1 rhymes; position of line 1 in the cycle
    ("仄起首句不入韵", 0),
    ("平起首句不入韵", 2),
    ("仄起首句入韵", 3),
    ("平起首句入韵", 1),
)


@dataclass(frozen=True)
class TemplateLine:
    """One line of a template.

    ``tones``: the tone of each character. ``strict``: whether that tone is mandatory; 一三五不论 makes it optional at
    odd positions unless that could cause 孤平, 三平尾 or 三仄尾.
    """

    tones: tuple[Tone, ...]
    strict: tuple[bool, ...]

    @property
    def rhymes(self) -> bool:
        return self.tones[-1] == "平"

    @property
    def guping(self) -> int | None:
        """The position that causes 孤平 if oblique (in the line …平平仄仄平); None for the other kinds.

        A level tone two positions later makes up for it (孤平拗救).
        """
        return len(self.tones) - 5 if "".join(self.tones[-5:]) == _CYCLE[1] else None

    @property
    def opposite_start(self) -> TemplateLine:
        """The line with the same ending but opposite tones at even positions, which breaks 粘 or 对."""
        kind = _CYCLE.index("".join(self.tones[-5:]))
        return _template_line((kind + 2) % 4, len(self.tones))

    @property
    def pattern(self) -> str:
        """In the usual notation, one mark per character: 平, 仄, or 中 where either is allowed."""
        return "".join(tone if held else "中" for tone, held in zip(self.tones, self.strict, strict=True))


@dataclass(frozen=True)
class Template:
    """``name``: such as 五律·仄起首句不入韵; ``lines``: from first to last."""

    name: str
    lines: tuple[TemplateLine, ...]


@cache
def templates(form: str, length: int, count: int) -> tuple[Template, ...]:
    """The four templates of ``count`` lines of ``length`` (5 or 7) characters.

    With an odd number of lines the last one rhymes too.
    """
    options = []
    for name, first in _CYCLE_STARTS:
        kinds = [first, *((1 if first in (0, 3) else 3) + i for i in range(count - 1))]
        if count % 2 and count > 1:
            kinds[-1] = kinds[-2]  # the only kind that both keeps 粘 and rhymes
        options.append(
            Template(
                f"{form}·{_name_for_seven(name) if length == 7 else name}",
                tuple(_template_line(k % 4, length) for k in kinds),
            )
        )
    return tuple(options)


def named(name: str, length: int, count: int) -> Template | None:
    """The template of that name for ``count`` lines of ``length`` characters; None: there is none."""
    if length not in (5, 7) or not 1 <= count <= MAX_TEMPLATE_LINES:
        return None
    form = name.partition("·")[0]
    if form not in FORMS:  # before the cache, so that requests cannot fill it
        return None
    return next((template for template in templates(form, length, count) if template.name == name), None)


def _name_for_seven(name: str) -> str:
    """平起 and 仄起 describe the second character, whose tone the two characters in front reverse."""
    return name.translate(str.maketrans("平仄", "仄平"))


def _template_line(kind: int, length: int) -> TemplateLine:
    tones: list[Tone] = ["平" if c == "平" else "仄" for c in _CYCLE[kind]]
    # positions 1 and 3 of the five are free unless that could break a rule
    strict = [kind == 1, True, kind in (2, 3), True, True]
    if length == 7:
        tones = [_OPPOSITE[tones[1]]] * 2 + tones
        strict = [False, True, *strict]
    return TemplateLine(tuple(tones), tuple(strict))
