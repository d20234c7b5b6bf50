"""Works out what a request asks for: its clauses or heads, its form, the number and length of its lines.

Pure and cheap, so that the bot can refuse a request before it is queued with the same error as the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.contract.errors import PoemError
from engine.contract.poem import MAX_HEADS, MAX_MOOD, MAX_TEXT, PoemRequest
from engine.contract.request_fields import parse_clauses, parse_form, parse_rhyme
from engine.contract.themes import in_chinese

_LINES = {"绝": 4, "律": 8}
_NUMERALS = "零一二三四五六七八九"
MIN_PAILU_LINES, MAX_GENERATED = 10, 200
OLD_STYLE_LINES = 8
"""Lines of an old-style poem with a rhyme group; without one, the model decides where to end."""


@dataclass(frozen=True)
class Outline:
    """What the poem will be, as far as the request decides it.

    ``given``: the opening clauses (continue) or the heads (acrostic), as written; empty for a theme.
    ``mood``: the clauses that the model reads before the poem, beginning with the ``theme`` (as written, in Chinese).
    ``line_length`` None: an old-style poem with lines of any length that the model ends; ``lines`` is then None too.
    ``regulated``: the poem follows the tones and rhymes of regulated verse.
    """

    form: str
    given: tuple[str, ...]
    line_length: int | None
    lines: int | None
    regulated: bool
    rhyme: str | None
    mood: tuple[str, ...] = ()
    theme: str = ""


def outline(request: PoemRequest) -> Outline:
    """Interpret a request. PoemError: it is invalid; the error says what to send instead."""
    form = parse_form(request.form)
    mood = tuple(parse_clauses(request.mood, "mood", MAX_MOOD)) if request.mood and request.mood.strip() else ()
    limit = MAX_HEADS if request.mode == "acrostic" else MAX_TEXT
    text = in_chinese(request.text) if request.mode == "theme" else request.text
    given = tuple(parse_clauses(text, request.mode, limit))
    rhyme = None if request.rhyme is None else parse_rhyme(request.rhyme)
    if request.mode == "theme":
        return replace(_themed(form, request.lines, rhyme), mood=(*given, *mood), theme="".join(given))
    if request.mode == "acrostic":
        return replace(_acrostic(form, tuple("".join(given)), request.lines, rhyme), mood=mood)
    return replace(_continuation(form, given, request.lines, rhyme), mood=mood)


def _continuation(form: str, given: tuple[str, ...], lines: int | None, rhyme: str | None) -> Outline:
    if form in ("五言", "七言"):
        raise PoemError(
            "unknown_form",
            f"{form}只用于藏头诗；续写请选 五绝、七绝、五律、七律、排律 或 古风。",
            f"{form} is for acrostics; to continue a line choose 五绝, 七绝, 五律, 七律, 排律 or 古风.",
        )
    wanted = {"五": 5, "七": 7}.get(form[0])
    if wanted or form == "排律":
        given = _split_lines(given, wanted)
    lengths = {len(clause) for clause in given}
    length = lengths.pop() if len(lengths) == 1 and lengths <= {5, 7} else None
    if form == "auto":
        form = "古风" if length is None or len(given) > 8 else f"{_digit(length)}律"
    if form == "古风":
        return _old_style_outline(given, length, lines, rhyme)
    if length is None or (wanted is not None and length != wanted):
        each = "五字或七字" if wanted is None else f"{form[0]}字"
        fits = f"{_digit(length)}{form[1]}" if length else "古风"
        raise _line_length_error(
            f"{form}每句{each}", f"each line of a {form} has {wanted or '5 or 7'} characters", given, fits
        )
    count = _line_count(form, length, lines)
    if len(given) > count:
        fits = f"{_digit(length)}律" if len(given) <= _LINES["律"] else "古风"
        many = len(given) - count
        raise _mismatch(
            f"{form}只有{_numeral(count)}句，您写了{_numeral(len(given))}句；请减去{_numeral(many)}句，或改用{fits}。",
            f"A {form} has {count} lines; you wrote {len(given)}. Remove {many}, or ask for {fits}.",
        )
    return Outline(form, given, length, count, True, rhyme)


def _themed(form: str, lines: int | None, rhyme: str | None) -> Outline:
    """The model writes every line; by default a 七绝."""
    form = {"auto": "七绝", "七言": "七绝", "五言": "五绝"}.get(form, form)
    length = 7 if form[0] == "七" else 5
    if form == "古风":
        return _old_style_outline((), length, lines, rhyme)
    return Outline(form, (), length, _line_count(form, length, lines), True, rhyme)


def _old_style_outline(given: tuple[str, ...], length: int | None, lines: int | None, rhyme: str | None) -> Outline:
    """A 古风; ``length`` None: the given clauses do not decide the length of the lines."""
    _refuse_lines("古风", lines)
    if rhyme is None:
        return Outline("古风", given, None, None, False, None)
    if length is None:
        raise _line_length_error(
            "指定韵部的古风每句五字或七字", "each line of a 古风 with a rhyme group has 5 or 7 characters", given
        )
    count = max(OLD_STYLE_LINES, len(given) + len(given) % 2)
    return Outline("古风", given, length, count, False, rhyme)


def _acrostic(form: str, heads: tuple[str, ...], lines: int | None, rhyme: str | None) -> Outline:
    count = len(heads) if lines is None else lines
    length = 7 if form[0] == "七" else 5
    if not len(heads) <= count <= MAX_HEADS:
        raise _mismatch(
            f"藏头有{len(heads)}字，句数应在{len(heads)}与{MAX_HEADS}之间；一字一句，不写句数即可。",
            f"With {len(heads)} characters to hide, lines must be {len(heads)} to {MAX_HEADS}; leave it out for one "
            "line per character.",
        )
    if form[1] in "绝律" and form != "排律" and _LINES[form[1]] != count:
        raise _mismatch(
            f"{form}有{_LINES[form[1]]}句，藏头应为{_LINES[form[1]]}字，现有{count}字；可改用{form[0]}言。",
            f"A {form} has {_LINES[form[1]]} lines, one per hidden character; you gave {count}. Ask for {form[0]}言.",
        )
    if form == "排律" and (count % 2 or count < MIN_PAILU_LINES):
        raise _mismatch(
            f"排律的句数为双数，至少{MIN_PAILU_LINES}句；藏头现有{count}字，请改用五言或七言。",
            f"A 排律 has an even number of lines, {MIN_PAILU_LINES} or more; you gave {count}. Ask for 五言 or 七言.",
        )
    if form in ("auto", "五言", "七言"):
        # Eight lines with fixed first characters cannot be made parallel couplets, so they are not a 律诗.
        kind = "绝" if count == 4 else "言"
        form = "排律" if count >= MIN_PAILU_LINES and count % 2 == 0 else f"{_digit(length)}{kind}"
    return Outline(form, heads, length, count, form != "古风", rhyme)


def _split_lines(given: tuple[str, ...], wanted: int | None) -> tuple[str, ...]:
    """Split clauses typed without punctuation: 床前明月光疑是地上霜 is two lines of a 五绝."""
    for length in (wanted,) if wanted else (5, 7):
        if all(len(clause) % length == 0 for clause in given):
            return tuple(clause[i : i + length] for clause in given for i in range(0, len(clause), length))
    return given


def _line_count(form: str, length: int, lines: int | None) -> int:
    """The number of lines of a regulated form."""
    if form != "排律":
        _refuse_lines(form, lines)
        return _LINES[form[1]]
    most = MAX_GENERATED // (length + 1) // 2 * 2
    count = MIN_PAILU_LINES if lines is None else lines
    if count % 2 or not MIN_PAILU_LINES <= count <= most:
        raise _mismatch(
            f"{_digit(length)}言排律的句数须为双数，在{MIN_PAILU_LINES}与{most}之间。",
            f"A 排律 of {length}-character lines has an even number of lines from {MIN_PAILU_LINES} to {most}.",
        )
    return count


def _refuse_lines(form: str, lines: int | None) -> None:
    if lines is not None:
        raise _mismatch(
            f"{form}的句数不能另定；要自定句数请选排律或藏头诗。",
            f"The number of lines of a {form} is fixed; ask for a 排律 or an acrostic to choose it.",
        )


def _mismatch(zh: str, en: str) -> PoemError:
    return PoemError("length_mismatch", zh, en)


def _line_length_error(zh: str, en: str, given: tuple[str, ...], fits: str = "") -> PoemError:
    """``fits``: the form to suggest instead."""
    lengths = [len(clause) for clause in given]
    others = (f"，或改用{fits}", f", or ask for {fits}") if fits else ("", "")
    if len(lengths) == 1:
        zh, en = f"{zh}，您的首句有{_numeral(lengths[0])}字", f"{en}; yours has {lengths[0]}"
    else:
        zh = f"{zh}，您写的{_numeral(len(lengths))}句分别有{'、'.join(map(_numeral, lengths))}字"
        en = f"{en}; yours have {', '.join(map(str, lengths))}"
    return _mismatch(f"{zh}；请改首句{others[0]}。", f"{en[0].upper()}{en[1:]}. Change the opening{others[1]}.")


def _numeral(number: int) -> str:
    """A number up to 99 in Chinese."""
    if number == 2:
        return "两"
    tens, ones = divmod(number, 10)
    begin = "" if tens == 0 else "十" if tens == 1 else f"{_NUMERALS[tens]}十"
    return f"{begin}{_NUMERALS[ones] if ones or not tens else ''}"


def _digit(length: int) -> str:
    return "五" if length == 5 else "七"
