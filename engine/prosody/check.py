"""Examines a finished poem: its form, template and rhyme, and each fault with its position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.contract.check import Examination, ProsodyFault
from engine.contract.script import Script
from engine.contract.templates import Template, TemplateLine, Tone, templates
from engine.prosody.table import Prosody

NEIGHBOURS = (
    "一东 二冬", "三江 七阳", "四支 五微 八齐 九佳 十灰", "六鱼 七虞", "十一真 十二文 十三元 十四寒 十五删 一先",
    "二萧 三肴 四豪", "五歌 六麻", "八庚 九青 十蒸", "十二侵", "十三覃 十四盐 十五咸",
)  # fmt: skip
"""Groups from which a first line may borrow its rhyme (孤雁出群); 王力《诗词格律》, chapter 2."""
LOOSE_FORMS = ("五言", "七言")
MAX_FAULTS_IN_SIX_LINES = 1
"""A poem of six lines with more faults is not regulated verse; no form requires a template of six lines."""


def examine_lines(written: list[str], prosody: Prosody, script: Script) -> Examination:
    """Examine the lines of a poem in either script; characters are returned as written."""
    examination = check([script.simplify(line) for line in written], prosody)
    ends = {script.simplify(line)[-1]: line[-1] for line in written}
    faults = tuple(replace(fault, character=_faulty_text(written, fault)) for fault in examination.faults)
    rhymes = tuple(ends[end] for end in examination.rhymes)
    return replace(examination, rhymes=rhymes, faults=faults, lines=tuple(written))


def _faulty_text(written: list[str], fault: ProsodyFault) -> str:
    if fault.place is None:
        return ""
    return written[fault.line - 1][fault.place - 1 : fault.place - 1 + max(1, len(fault.character))]


def check(lines: Sequence[str], prosody: Prosody) -> Examination:
    """Examine ``lines`` (simplified characters, no marks).

    Poems with an even number of lines of 5 or 7 characters are examined as 绝句 (4), 律诗 (8) or 排律 (10 or more); 6
    lines count as 五言 or 七言 if they nearly follow a template. Anything else is 古风, and poems that rhyme in oblique
    tones are 仄韵古绝 (4 lines) or 仄韵古风: these have no rules to break.
    Faults: 失对 失粘 平仄 孤平 三平尾 三仄尾 落韵 重韵.
    """
    form = form_of(lines)
    ends = [line[-1] for line in lines[1::2]]
    if form == "古风":
        return _without_rules(form, lines, prosody)
    if sum(prosody.fits(end, "平") for end in ends) * 2 < len(ends):
        return _examine_old_style("仄韵古绝" if len(lines) == 4 else "仄韵古风", lines, prosody.oblique_rhymes, prosody)
    report = _examine_regulated(form, lines, prosody)
    if form in LOOSE_FORMS and len(report.faults) > MAX_FAULTS_IN_SIX_LINES:
        return _examine_old_style("古风", lines, prosody.rhymes, prosody)
    return report


def _examine_old_style(
    form: str, lines: Sequence[str], groups: Mapping[str, frozenset[str]], prosody: Prosody
) -> Examination:
    """A poem without tone rules, with the rhyme group that most of its even lines share, if there is one."""
    ends = [line[-1] for line in lines[1::2]]
    shared = Counter(group for end in ends for group in groups.get(end, ()))
    rhyme = min(shared, key=lambda group: (-shared[group], group)) if shared else None
    if rhyme is None or shared[rhyme] * 2 <= len(ends):
        return _without_rules(form, lines, prosody)
    first = [lines[0][-1]] if rhyme in groups.get(lines[0][-1], ()) else []
    return replace(_without_rules(form, lines, prosody), rhyme=rhyme, rhymes=(*first, *ends))


def _without_rules(form: str, lines: Sequence[str], prosody: Prosody) -> Examination:
    return Examination(form, None, None, (), (), tuple(lines), _tones(lines, prosody))


def _examine_regulated(form: str, lines: Sequence[str], prosody: Prosody) -> Examination:
    """Examined under the template that fits best."""
    options = templates(form, len(lines[0]), len(lines))
    first = [t for t in options if prosody.fits(lines[0][-1], t.lines[0].tones[-1])] or list(options)
    # If the end of line 1 has both tones, it counts as a rhyme word where this adds no fault or missed tone.
    judged = [(count_misses(lines, t, prosody), _examine_under(lines, t, prosody)) for t in first]
    return min(judged, key=lambda pair: (len(pair[1].faults), pair[0], -len(pair[1].rhymes)))[1]


def _examine_under(lines: Sequence[str], template: Template, prosody: Prosody) -> Examination:
    """The faults of ``lines`` under one template."""
    rhyming = [i for i, line in enumerate(template.lines) if line.rhymes]
    rhyme = _rhyme([lines[i][-1] for i in rhyming], prosody)
    faults = _rhyme_faults(lines, rhyming, rhyme, prosody)
    faults += _tone_faults(lines, template, prosody)
    ordered = tuple(sorted(faults, key=lambda f: (f.line, f.place or 0)))
    rhymes = tuple(lines[i][-1] for i in rhyming)
    tones = _tones(lines, prosody, template)
    return Examination(form_of(lines), template.name, rhyme, rhymes, ordered, tuple(lines), tones)


def _tones(lines: Sequence[str], prosody: Prosody, template: Template | None = None) -> tuple[str, ...]:
    """The tones of each line; a character that has both is given the one its template asks for."""
    shown = []
    for number, text in enumerate(lines):
        row = []
        for place, character in enumerate(text):
            tones = prosody.tones.get(character, frozenset("？"))
            one = next(iter(tones)) if len(tones) == 1 else template.lines[number].tones[place] if template else "中"
            row.append(one)
        shown.append("".join(row))
    return tuple(shown)


def _tone_faults(lines: Sequence[str], template: Template, prosody: Prosody) -> list[ProsodyFault]:
    """The smallest set of faults that explains every line; after a break of 粘 or 对 the following lines may continue
    the pattern of the line that broke it.

    ``in_step``: the fewest faults so far if the last line follows the template; ``turned``: if it follows the opposite
    pattern (None: it cannot).
    """
    in_step: list[ProsodyFault] = []
    turned: list[ProsodyFault] | None = None
    for number, (text, line) in enumerate(zip(lines, template.lines, strict=True), 1):
        straight, other = (
            _line_faults(text, line, number, prosody),
            _line_faults(text, line.opposite_start, number, prosody),
        )
        breaks = [ProsodyFault("失对" if number % 2 == 0 else "失粘", number, wanted=line.pattern)]
        second_break = [ProsodyFault(breaks[0].name, number, wanted=line.opposite_start.pattern)]
        staying = [in_step + straight, *([] if turned is None else [turned + second_break + straight])]
        turning = [] if number == 1 else [in_step + breaks + other]
        turning += [] if turned is None else [turned + other]
        in_step, turned = min(staying, key=len), min(turning, key=len) if turning else None
    return in_step if turned is None else min(in_step, turned, key=len)


def form_of(lines: Sequence[str]) -> str:
    """The form, judged by the number and length of the lines only."""
    lengths = {len(line) for line in lines}
    if lengths not in ({5}, {7}) or len(lines) % 2 or len(lines) < 4:
        return "古风"
    digit = "五" if lengths == {5} else "七"
    return {4: f"{digit}绝", 6: f"{digit}言", 8: f"{digit}律"}.get(len(lines), "排律")


def count_misses(lines: Sequence[str], template: Template, prosody: Prosody) -> int:
    """How many characters miss the tone of ``template`` at an even position or at the end of a line."""
    return sum(
        not prosody.fits(character, tone)
        for text, line in zip(lines, template.lines, strict=True)
        for place, (character, tone) in enumerate(zip(text, line.tones, strict=True), 1)
        if place % 2 == 0 or place == len(text)
    )


def _rhyme(ends: Sequence[str], prosody: Prosody) -> str | None:
    """The group that most of the rhyme words share."""
    groups = Counter(group for end in ends for group in prosody.groups(end))
    return max(groups, key=lambda group: (groups[group], group)) if groups else None


def _rhyme_faults(
    lines: Sequence[str], rhyming: Sequence[int], rhyme: str | None, prosody: Prosody
) -> list[ProsodyFault]:
    faults, seen = [], set()
    for i in rhyming:
        end = lines[i][-1]
        borrowed = i == 0 and rhyme is not None and any(g in _neighbours(rhyme) for g in prosody.groups(end))
        if rhyme not in prosody.groups(end) and not borrowed:
            faults.append(ProsodyFault("落韵", i + 1, len(lines[i]), end))
        if end in seen:
            faults.append(ProsodyFault("重韵", i + 1, len(lines[i]), end))
        seen.add(end)
    return faults


def _neighbours(group: str) -> list[str]:
    return next((groups for names in NEIGHBOURS if group in (groups := names.split())), [group])


def _line_faults(text: str, line: TemplateLine, number: int, prosody: Prosody) -> list[ProsodyFault]:
    length = len(text)
    wrong = {place for place in range(length) if not prosody.fits(text[place], line.tones[place])}
    even = set(range(1, length - 1, 2))
    if number > 1 and 1 in wrong and len(even & wrong) * 2 >= len(even):  # the whole line follows the opposite pattern
        return [ProsodyFault("失对" if number % 2 == 0 else "失粘", number, wanted=line.pattern)]
    tail = line.tones[-5:]
    turned_tail = length - 2 in wrong and prosody.fits(text[length - 3], "仄")
    if tail == ("平", "平", "平", "仄", "仄") and turned_tail:
        wrong -= {length - 3, length - 2}  # 平平仄平仄 is allowed in this line
    faults = []
    tails: tuple[tuple[Tone, str], ...] = (("仄", "三平尾"), ("平", "三仄尾"))
    for other, name in tails:
        if not any(prosody.fits(c, other) for c in text[-3:]):
            faults.append(ProsodyFault(name, number, length - 2, text[-3:], "".join(line.tones[-3:])))
            wrong -= {length - 3, length - 2}  # report these only once
    faults += [
        ProsodyFault("平仄", number, place + 1, text[place], line.tones[place]) for place in sorted(wrong & even)
    ]
    guping = line.guping
    if guping is not None and guping in wrong and not prosody.fits(text[guping + 2], "平"):
        faults.append(ProsodyFault("孤平", number, guping + 1, text[guping], "平"))
    return faults
