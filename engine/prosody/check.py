"""An examiner's look at a finished poem: its form, template and rhyme, and each fault by name and place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.contract.templates import Line, Template, Tone, templates
from engine.prosody.table import Prosody


@dataclass(frozen=True)
class Fault:
    """``name`` of the fault; ``line`` and ``place`` count from 1, ``place`` None for a whole line."""

    name: str
    line: int
    place: int | None = None
    character: str = ""


@dataclass(frozen=True)
class Report:
    form: str
    template: str | None
    rhyme: str | None
    faults: tuple[Fault, ...]
    rhymes: tuple[str, ...] = ()
    """The rhyme words, in order."""


def check(lines: Sequence[str], prosody: Prosody) -> Report:
    """Examine ``lines`` (simplified characters, no marks).

    Even poems of equal lines of 5 or 7 characters are examined as 绝句 (4), 律诗 (8) or 排律 (else); anything
    else is 古风, which has no rules to break. Faults: 失对 失粘 平仄 孤平 三平尾 三仄尾 落韵 重韵.
    """
    form = form_of(lines)
    if form == "古风":
        return Report(form, None, None, ())
    options = templates(form, len(lines[0]), len(lines))
    first = [t for t in options if prosody.fits(lines[0][-1], t.lines[0].tones[-1])] or list(options)
    # Where the end of line 1 has both tones, it rhymes if its level reading does and costs nothing.
    judged = [(count_misses(lines, t, prosody), _examine(lines, t, prosody)) for t in first]
    return min(judged, key=lambda pair: (pair[0], len(pair[1].faults), -len(pair[1].rhymes)))[1]


def _examine(lines: Sequence[str], template: Template, prosody: Prosody) -> Report:
    """The faults of ``lines`` under one template."""
    rhyming = [i for i, line in enumerate(template.lines) if line.rhymes]
    rhyme = _rhyme([lines[i][-1] for i in rhyming], prosody)
    faults = _rhyme_faults(lines, rhyming, rhyme, prosody)
    for number, (text, line) in enumerate(zip(lines, template.lines, strict=True), 1):
        faults += _line_faults(text, line, number, prosody)
    ordered = tuple(sorted(faults, key=lambda f: (f.line, f.place or 0)))
    rhymes = tuple(lines[i][-1] for i in rhyming)
    return Report(form_of(lines), template.name, rhyme, ordered, rhymes)


def form_of(lines: Sequence[str]) -> str:
    """The form by shape alone."""
    lengths = {len(line) for line in lines}
    if lengths not in ({5}, {7}) or len(lines) % 2 or len(lines) < 4:
        return "古风"
    digit = "五" if lengths == {5} else "七"
    return {4: f"{digit}绝", 8: f"{digit}律"}.get(len(lines), "排律")


def count_misses(lines: Sequence[str], template: Template, prosody: Prosody) -> int:
    """Characters that miss the tone of ``template`` at an even place or at the end of a line."""
    return sum(
        not prosody.fits(character, tone)
        for text, line in zip(lines, template.lines, strict=True)
        for place, (character, tone) in enumerate(zip(text, line.tones, strict=True), 1)
        if place % 2 == 0 or place == len(text)
    )


def _rhyme(ends: Sequence[str], prosody: Prosody) -> str | None:
    """The group most of the rhyme words share."""
    groups = Counter(group for end in ends for group in prosody.groups(end))
    return max(groups, key=lambda group: (groups[group], group)) if groups else None


def _rhyme_faults(lines: Sequence[str], rhyming: Sequence[int], rhyme: str | None, prosody: Prosody) -> list[Fault]:
    faults, seen = [], set()
    for i in rhyming:
        end = lines[i][-1]
        if rhyme not in prosody.groups(end):
            faults.append(Fault("落韵", i + 1, len(lines[i]), end))
        if end in seen:
            faults.append(Fault("重韵", i + 1, len(lines[i]), end))
        seen.add(end)
    return faults


def _line_faults(text: str, line: Line, number: int, prosody: Prosody) -> list[Fault]:
    length = len(text)
    wrong = {place for place in range(length) if not prosody.fits(text[place], line.tones[place])}
    even = set(range(1, length - 1, 2))
    if number > 1 and 1 in wrong and len(even & wrong) * 2 >= len(even):  # the whole line is turned round
        return [Fault("失对" if number % 2 == 0 else "失粘", number)]
    tail = line.tones[-5:]
    if tail == ("平", "平", "平", "仄", "仄") and {length - 3, length - 2} <= wrong:
        wrong -= {length - 3, length - 2}  # 平平仄平仄 is allowed in this line
    faults = [Fault("平仄", number, place + 1, text[place]) for place in sorted(wrong & even)]
    lonely = line.lonely
    if lonely is not None and lonely in wrong and not prosody.fits(text[lonely + 2], "平"):
        faults.append(Fault("孤平", number, lonely + 1, text[lonely]))
    tails: tuple[tuple[Tone, str], ...] = (("仄", "三平尾"), ("平", "三仄尾"))
    for other, name in tails:
        if not any(prosody.fits(c, other) for c in text[-3:]):
            faults.append(Fault(name, number, length - 2, text[-3:]))
    return faults
