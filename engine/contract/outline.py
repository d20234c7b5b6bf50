"""Works out what a request asks for: its clauses or heads, its form, the number and length of its lines.

Pure and cheap, so that the bot can refuse a request before it is queued with the same error as the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.contract.errors import PoemError
from engine.contract.poem import FORMS, MAX_HEADS, MAX_MOOD, MAX_TEXT, PoemRequest
from engine.contract.text import clauses, foreign_character, has_control_characters
from engine.contract.themes import ENGLISH, in_chinese

LEVEL_RHYMES = (
    *("一东", "二冬", "三江", "四支", "五微", "六鱼", "七虞", "八齐", "九佳", "十灰"),
    *("十一真", "十二文", "十三元", "十四寒", "十五删"),
    *("一先", "二萧", "三肴", "四豪", "五歌", "六麻", "七阳", "八庚", "九青", "十蒸"),
    *("十一尤", "十二侵", "十三覃", "十四盐", "十五咸"),
)
"""The thirty level-tone groups of 平水韵, upper (上平) then lower (下平)."""

# Only a few characters in the names of forms and rhymes differ between the scripts: a table is enough.
FORM_TO_SIMPLIFIED = str.maketrans("絕詩風東魚齊刪蕭陽鹹鹽麼餚", "绝诗风东鱼齐删萧阳咸盐么肴")
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
    mood: tuple[str, ...]
    theme: str = ""


def outline(request: PoemRequest) -> Outline:
    """Interpret a request. PoemError: it is invalid; the error says what to send instead."""
    form = _parse_form(request.form)
    mood = tuple(_chinese(request.mood, "mood", MAX_MOOD)) if request.mood and request.mood.strip() else ()
    limit = MAX_HEADS if request.mode == "acrostic" else MAX_TEXT
    text = in_chinese(request.text) if request.mode == "theme" else request.text
    given = tuple(_chinese(text, request.mode, limit))
    rhyme = None if request.rhyme is None else _parse_rhyme(request.rhyme)
    if request.mode == "acrostic":
        return _acrostic(form, tuple("".join(given)), request.lines, rhyme, mood)
    if request.mode == "theme":
        return replace(_themed(form, request.lines, rhyme, (*given, *mood)), theme="".join(given))
    return _continuation(form, given, request.lines, rhyme, mood)


def _continuation(
    form: str, given: tuple[str, ...], lines: int | None, rhyme: str | None, mood: tuple[str, ...]
) -> Outline:
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
        _refuse_lines(form, lines)
        if rhyme is None:
            return Outline(form, given, None, None, False, None, mood)
        if length is None:
            raise _mismatch(
                "指定韵部的古风每句五字或七字", "each line of a 古风 with a rhyme group has 5 or 7 characters", given
            )
        return Outline(form, given, length, max(OLD_STYLE_LINES, len(given) + len(given) % 2), False, rhyme, mood)
    if length is None or (wanted is not None and length != wanted):
        each = "五字或七字" if wanted is None else f"{form[0]}字"
        fits = f"{_digit(length)}{form[1]}" if length else "古风"
        raise _mismatch(f"{form}每句{each}", f"each line of a {form} has {wanted or '5 or 7'} characters", given, fits)
    count = _count(form, length, lines)
    if len(given) > count:
        fits = f"{_digit(length)}律" if len(given) <= _LINES["律"] else "古风"
        many = len(given) - count
        raise PoemError(
            "length_mismatch",
            f"{form}只有{_numeral(count)}句，您写了{_numeral(len(given))}句；请减去{_numeral(many)}句，或改用{fits}。",
            f"A {form} has {count} lines; you wrote {len(given)}. Remove {many}, or ask for {fits}.",
        )
    return Outline(form, given, length, count, True, rhyme, mood)


def _themed(form: str, lines: int | None, rhyme: str | None, mood: tuple[str, ...]) -> Outline:
    """The model writes every line; by default a 七绝."""
    form = {"auto": "七绝", "七言": "七绝", "五言": "五绝"}.get(form, form)
    length = 7 if form[0] == "七" else 5
    if form == "古风":
        _refuse_lines(form, lines)
        if rhyme is None:
            return Outline(form, (), None, None, False, None, mood)
        return Outline(form, (), length, OLD_STYLE_LINES, False, rhyme, mood)
    return Outline(form, (), length, _count(form, length, lines), True, rhyme, mood)


def _acrostic(
    form: str, heads: tuple[str, ...], lines: int | None, rhyme: str | None, mood: tuple[str, ...]
) -> Outline:
    count = len(heads) if lines is None else lines
    length = 7 if form[0] == "七" else 5
    if not len(heads) <= count <= MAX_HEADS:
        raise PoemError(
            "length_mismatch",
            f"藏头有{len(heads)}字，句数应在{len(heads)}与{MAX_HEADS}之间；一字一句，不写句数即可。",
            f"With {len(heads)} characters to hide, lines must be {len(heads)} to {MAX_HEADS}; leave it out for one "
            "line per character.",
        )
    if form[1] in "绝律" and form != "排律" and _LINES[form[1]] != count:
        raise PoemError(
            "length_mismatch",
            f"{form}有{_LINES[form[1]]}句，藏头应为{_LINES[form[1]]}字，现有{count}字；可改用{form[0]}言。",
            f"A {form} has {_LINES[form[1]]} lines, one per hidden character; you gave {count}. Ask for {form[0]}言.",
        )
    if form == "排律" and (count % 2 or count < MIN_PAILU_LINES):
        raise PoemError(
            "length_mismatch",
            f"排律的句数为双数，至少{MIN_PAILU_LINES}句；藏头现有{count}字，请改用五言或七言。",
            f"A 排律 has an even number of lines, {MIN_PAILU_LINES} or more; you gave {count}. Ask for 五言 or 七言.",
        )
    if form in ("auto", "五言", "七言"):
        # Eight lines with fixed first characters cannot be made parallel couplets, so they are not a 律诗.
        kind = "绝" if count == 4 else "言"
        form = "排律" if count >= MIN_PAILU_LINES and count % 2 == 0 else f"{_digit(length)}{kind}"
    return Outline(form, heads, length, count, form != "古风", rhyme, mood)


def _chinese(text: str, what: str, limit: int) -> list[str]:
    """The clauses of what a user typed; PoemError if they are not usable."""
    name, english, example = {
        "continue": ("首句", "the opening line", "老夫聊发少年狂"),
        "acrostic": ("藏头的字", "the characters to hide", "春风十里"),
        "theme": ("题目", "the theme", "春天"),
        "mood": ("意境", "the mood", "欲穷千里目，更上一层楼"),
    }[what]
    if not text.strip():
        raise PoemError("empty", f"请写上{name}，例如：{example}", f"Please send {english}, for example {example}")
    if has_control_characters(text):
        raise PoemError(
            "control_characters",
            f"{name}里有不可见的控制字符，请重新输入，例如：{example}",
            f"There are control characters in {english}; please type it again, for example {example}",
        )
    typed = clauses(text)
    if not typed or foreign_character(text):
        if what == "theme":
            raise PoemError(
                "not_chinese",
                f"题目请用汉字，例如：{example}；英文题目只认得常用词，例如 spring、moon、love。",
                "I do not know all of these words. A theme may be Chinese characters, such as 春天, or words such as "
                f"{', '.join(ENGLISH)}.",
            )
        raise PoemError(
            "not_chinese",
            f"{name}只能用汉字，例如：{example}",
            f"Please use Chinese characters only for {english}, for example {example}",
        )
    if (count := len("".join(typed))) > limit:
        raise PoemError(
            "too_long",
            f"{name}最多{limit}字，现有{count}字，请减去{count - limit}字。",
            f"Please keep {english} to {limit} characters; this has {count}.",
        )
    return typed


def _parse_form(name: str) -> str:
    form = name.strip().translate(FORM_TO_SIMPLIFIED) or "auto"
    if form not in FORMS:
        raise PoemError(
            "unknown_form",
            f"没有“{form[:8]}”。可选：五绝 七绝 五律 七律 排律 古风；藏头诗另有五言、七言。",
            f"There is no form “{form[:8]}”. Choose 五绝 七绝 五律 七律 排律 古风, or for an acrostic 五言 or 七言.",
        )
    return form


def _parse_rhyme(name: str) -> str:
    wanted = name.strip().translate(FORM_TO_SIMPLIFIED)
    for rhyme in LEVEL_RHYMES:
        if wanted in (rhyme, rhyme[-1]):
            return rhyme
    raise PoemError(
        "unknown_rhyme",
        f"没有“{wanted[:8]}”韵。请选平水韵的平声韵：{' '.join(LEVEL_RHYMES)}。",
        f"There is no rhyme group “{wanted[:8]}”. Choose a level-tone group of 平水韵: {' '.join(LEVEL_RHYMES)}.",
    )


def _split_lines(given: tuple[str, ...], wanted: int | None) -> tuple[str, ...]:
    """Split clauses typed without punctuation: 床前明月光疑是地上霜 is two lines of a 五绝."""
    for length in (wanted,) if wanted else (5, 7):
        if all(len(clause) % length == 0 for clause in given):
            return tuple(clause[i : i + length] for clause in given for i in range(0, len(clause), length))
    return given


def _count(form: str, length: int, lines: int | None) -> int:
    """The number of lines of a regulated form."""
    if form == "排律":
        return _long_lines(lines, length)
    _refuse_lines(form, lines)
    return _LINES[form[1]]


def _long_lines(lines: int | None, length: int) -> int:
    most = MAX_GENERATED // (length + 1) // 2 * 2
    count = MIN_PAILU_LINES if lines is None else lines
    if count % 2 or not MIN_PAILU_LINES <= count <= most:
        raise PoemError(
            "length_mismatch",
            f"{_digit(length)}言排律的句数须为双数，在{MIN_PAILU_LINES}与{most}之间。",
            f"A 排律 of {length}-character lines has an even number of lines from {MIN_PAILU_LINES} to {most}.",
        )
    return count


def _refuse_lines(form: str, lines: int | None) -> None:
    if lines is not None:
        raise PoemError(
            "length_mismatch",
            f"{form}的句数不能另定；要自定句数请选排律或藏头诗。",
            f"The number of lines of a {form} is fixed; ask for a 排律 or an acrostic to choose it.",
        )


def _mismatch(zh: str, en: str, given: tuple[str, ...], fits: str = "") -> PoemError:
    """``fits``: the form to suggest instead."""
    lengths = [len(clause) for clause in given]
    others = (f"，或改用{fits}", f", or ask for {fits}") if fits else ("", "")
    if len(lengths) == 1:
        zh, en = f"{zh}，您的首句有{_numeral(lengths[0])}字", f"{en}; yours has {lengths[0]}"
    else:
        zh = f"{zh}，您写的{_numeral(len(lengths))}句分别有{'、'.join(map(_numeral, lengths))}字"
        en = f"{en}; yours have {', '.join(map(str, lengths))}"
    return PoemError(
        "length_mismatch", f"{zh}；请改首句{others[0]}。", f"{en[0].upper()}{en[1:]}. Change the opening{others[1]}."
    )


def _numeral(number: int) -> str:
    """A number up to 99 in Chinese."""
    if number == 2:
        return "两"
    tens, ones = divmod(number, 10)
    begin = "" if tens == 0 else "十" if tens == 1 else f"{_NUMERALS[tens]}十"
    return f"{begin}{_NUMERALS[ones] if ones or not tens else ''}"


def _digit(length: int) -> str:
    return "五" if length == 5 else "七"
