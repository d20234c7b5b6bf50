"""An examination in words, as Telegram HTML."""

from __future__ import annotations

import html

from bot.views.messages import Language, in_script
from engine.contract.check import Blemish, Examination

_FAULTS = {
    "失对": ("与上句平仄不相对", "the tones do not oppose those of the line before"),
    "失粘": ("与上句平仄不相粘", "the tones do not take up those of the couplet before"),
    "平仄": ("此字与格律不合", "the wrong tone here"),
    "孤平": ("孤平：除韵脚外只剩一个平声", "one level tone left alone beside the rhyme"),
    "三平尾": ("句末三字皆平", "three level tones end the line"),
    "三仄尾": ("句末三字皆仄", "three oblique tones end the line"),
    "落韵": ("不在这个韵部", "does not rhyme with the others"),
    "重韵": ("韵脚用字重复", "this rhyme word was used before"),
}
MOST = 20
"""Faults told in one message."""


def examined(found: Examination, language: Language) -> str:
    """Form, template and rhyme in a line, the rhyme words, then each fault with its place."""
    english = language == "en"
    form = found.template or found.form
    head = f"<b>{_escape(form)}</b>"
    if found.rhyme:
        head += f" · {_escape(found.rhyme)}"
    if found.template is None:
        free = (
            "五言或七言、四句以上且双数，才按近体诗查；这一首算古风，古风不拘平仄。",
            "Only four or more lines, an even number, of 5 or 7 characters each are examined as regulated verse; "
            "this counts as old style (古风), which has no rules of tone.",
        )
        return f"{_pick(head, language)}\n{_pick(free[english], language)}"
    between = ", " if english else "、"
    lines = [head, ("Rhymes: " if english else "韵脚：") + _escape(between.join(found.rhymes))]
    if found.faults:
        lines.append(
            f"{len(found.faults)} fault{'s' if len(found.faults) > 1 else ''}:"
            if english
            else f"{len(found.faults)} 处毛病："
        )
        lines += [_line(fault, english) for fault in found.faults[:MOST]]
        if len(found.faults) > MOST:
            lines.append("…")
    else:
        lines.append(
            "Faultless: tones, couplets and rhymes are all in order." if english else "无误：平仄、粘对、押韵都合格律。"
        )
    return _pick("\n".join(lines), language)


def _line(fault: Blemish, english: bool) -> str:
    zh, en = _FAULTS.get(fault.name, ("", ""))
    name, character = _escape(fault.name), _escape(fault.character)
    if english:
        place = f", character {fault.place}" if fault.place else ""
        return f"· line {fault.line}{place}{f' {character}' if character else ''}: <b>{name}</b>, {en}"
    place = f"第{fault.place}字" if fault.place else ""
    return f"· 第{fault.line}句{place}{f'「{character}」' if character else ''}：<b>{name}</b>，{zh}"


def _pick(text: str, language: Language) -> str:
    return text if language == "en" else in_script(text, language)


def _escape(text: str) -> str:
    return html.escape(text, quote=False)
