"""The result of ``/check`` as Telegram HTML."""

from __future__ import annotations

from bot.views.messages import Language, escape, in_script, pick
from engine.contract.check import Examination, ProsodyFault

_FAULT_TEXTS = {
    "失对": ("与上句平仄不相对", "its tones are not opposite to those of the line before"),
    "失粘": ("与上联平仄不相粘", "its tones do not match those of the couplet before"),
    "平仄": ("", "the wrong tone"),
    "孤平": ("除韵脚外只剩一个平声", "one level tone left alone beside the rhyme"),
    "三平尾": ("句末三字皆平", "three level tones end the line"),
    "三仄尾": ("句末三字皆仄", "three oblique tones end the line"),
    "落韵": ("与其余韵脚不同韵部", "does not rhyme with the others"),
    "重韵": ("韵脚用字重复", "this rhyme word was used before"),
}
_TONES_IN_ENGLISH = {"平": "level 平", "仄": "oblique 仄"}
_OTHER_TONE = {"平": "仄", "仄": "平"}
_FAULTLESS = ("无误：平仄、粘对、押韵都合格律。", "No faults: tones, couplets and rhymes are all correct.")
_OLD_QUATRAIN = (
    "若作古绝看，则不拘平仄。",
    "As an old-style quatrain (古绝) it breaks no rules: their tones are free.",
)
MAX_FAULTS_SHOWN = 20
"""Maximum number of faults in one message."""
MAX_LINES_SHOWN = 40
"""Maximum number of lines shown with their tones."""


def examination_html(examination: Examination, language: Language) -> str:
    """Form, template and rhyme, the rhyme words, the poem with its tones, then each fault with its position.

    The poem is shown as it was pasted; only the bot's own text is in the reader's script.
    """
    english = language == "en"
    head = f"<b>{in_script(examination.template or examination.form, language)}</b>"
    if examination.rhyme:
        head += f" · {in_script(examination.rhyme, language)}"
    lines = [head]
    if examination.rhymes:
        between = ", " if english else "、"
        label = pick(("韵脚：", "Rhymes: "), language)
        lines.append(label + escape(between.join(examination.rhymes)))
    lines += _with_tones(examination)
    if examination.template is None:
        lines.append(pick(_why_unchecked(examination), language))
    elif not examination.faults:
        lines.append(pick(_FAULTLESS, language))
    else:
        count = len(examination.faults)
        lines.append(pick((f"{count} 处不合律：", f"{count} fault{'s' if count > 1 else ''}:"), language))
        lines += [_describe_fault(fault, language) for fault in examination.faults[:MAX_FAULTS_SHOWN]]
        if count > MAX_FAULTS_SHOWN:
            lines.append("…")
        if examination.form.endswith("绝") and any(fault.place is None for fault in examination.faults):
            lines.append(pick(_OLD_QUATRAIN, language))
    return "\n".join(lines)


def _why_unchecked(examination: Examination) -> tuple[str, str]:
    """Why a poem was not checked against a template."""
    if examination.form.startswith("仄韵"):
        return (
            "押仄声韵，属古体，不拘平仄。",
            "It rhymes in oblique tones, as old verse may (古体): its tones are free.",
        )
    if examination.rhyme:
        return ("这首是古体，不拘平仄。", "This is old-style verse (古体): its tones are free.")
    return (
        "五言或七言、四句以上且双数，才按近体诗查；这一首算古风，古风不拘平仄。",
        "Only poems with an even number of at least four lines of 5 or 7 characters are checked as regulated verse; "
        "this one counts as old style (古风), which has no tone rules.",
    )


def _with_tones(examination: Examination) -> list[str]:
    """Each line with its tones below it, wrong tones in bold."""
    shown = []
    for number, (line, tones) in enumerate(
        zip(examination.lines[:MAX_LINES_SHOWN], examination.tones, strict=False), 1
    ):
        wrong = {
            fault.place + i
            for fault in examination.faults
            if fault.line == number and fault.place and fault.wanted
            for i in range(len(fault.wanted))
        }
        marked = "".join(f"<b>{tone}</b>" if place in wrong else tone for place, tone in enumerate(tones, 1))
        shown += [escape(line), marked]
    return [*shown, *(["…"] if len(examination.lines) > MAX_LINES_SHOWN else [])]


def _describe_fault(fault: ProsodyFault, language: Language) -> str:
    zh, en = _FAULT_TEXTS.get(fault.name, ("", ""))
    name, character = in_script(fault.name, language), escape(fault.character)
    if language == "en":
        place = f", character {fault.place}" if fault.place else ""
        wanted = f"; {_TONES_IN_ENGLISH.get(fault.wanted, fault.wanted)} is required" if fault.wanted else ""
        return f"· line {fault.line}{place}{f' {character}' if character else ''}: <b>{name}</b>, {en}{wanted}"
    place = f"第{fault.place}字" if fault.place else ""
    where = f"· 第{fault.line}句{place}{f'「{character}」' if character else ''}："
    if fault.wanted in _OTHER_TONE:
        wanted = f"应{fault.wanted}而{_OTHER_TONE[fault.wanted]}"
    else:
        wanted = fault.wanted and f"应作{fault.wanted}"
    description = "，".join(part for part in (zh, wanted) if part)
    return where + in_script(
        f"<b>{description}</b>" if fault.name == "平仄" else f"<b>{fault.name}</b>，{description}", language
    )
