"""The buttons under a poem: their labels and what pressing them means. Pure.

A button refers to a card (the poem and its request, stored in Redis), because its own data is limited to 64 bytes.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace
from typing import Literal, get_args

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.views.messages import LANGUAGES, Language, in_script, pick, say
from engine.contract import PoemError, PoemRequest, outline
from engine.contract.poem import FORMS
from engine.contract.queue.messages import Inline, Telegram

Named = Literal["another", "forms", "moods", "picture", "back", "write"]
Action = Named | Literal["form", "mood", "language", "theme"]
_ACTIONS = (*get_args(Named), "form", "mood", "language", "theme")

MOODS = (
    ("边塞", "Frontier", "大漠孤烟直，长河落日圆"),
    ("山水", "Mountains", "明月松间照，清泉石上流"),
    ("送别", "Farewell", "劝君更尽一杯酒，西出阳关无故人"),
    ("怀古", "The past", "旧时王谢堂前燕，飞入寻常百姓家"),
    ("思乡", "Homesick", "露从今夜白，月是故乡明"),
    ("春日", "Spring", "迟日江山丽，春风花草香"),
)
"""Name in Chinese, name in English, and the verse that sets the mood."""
_FIRST = (("Spring", "春"), ("The moon", "月"), ("Mountains", "山水"), ("Homesick", "思乡"))
MOODS_OFFERED = 3
AUTOMATIC_LANGUAGE = "auto"


@dataclass(frozen=True)
class ButtonAction:
    """``card``: the card the button refers to; ``choice``: a form, the number of a mood, a language or a theme."""

    action: Action
    card: str
    choice: str = ""

    def data(self) -> str:
        return f"{self.action}:{self.card}:{self.choice}".rstrip(":")

    @classmethod
    def read(cls, data: str | None) -> ButtonAction | None:
        """None: not a button of this version."""
        action, _, rest = (data or "").partition(":")
        card, _, choice = rest.partition(":")
        return cls(action, card, choice) if action in _ACTIONS else None  # type: ignore[arg-type]


def place_of(to: Telegram) -> str:
    """The key by which the buttons of a message are locked while one of them is handled."""
    return f"i{to.message}" if isinstance(to, Inline) else f"{to.chat}:{to.message}"


def under_poem(card: str, language: Language, picture: bool, query: str = "") -> InlineKeyboardMarkup:
    """``picture``: whether pictures can be drawn; ``query``: the inline query that finds the poem."""
    rows: list[list[Named]] = [["another", "forms"], ["moods", "picture"] if picture else ["moods"]]
    found = [[_named(action, card, language) for action in row] for row in rows]
    if query:
        found[-1].append(InlineKeyboardButton(say("share", language), switch_inline_query=query))
    return InlineKeyboardMarkup(found)


def shared(card: str) -> str:
    """The inline query that finds the poem of ``card``; its name is known only to those who have the poem."""
    return f"#{card}"


def shared_card(query: str) -> str:
    """The card that an inline query from ``shared`` refers to, or an empty string."""
    match = re.fullmatch(r"#([\w.-]{3,60})", query.strip(), re.ASCII)
    return match[1] if match else ""


def first_poem(language: Language) -> InlineKeyboardMarkup:
    """For users who have not written anything yet."""
    themes = [_button(pick((zh, label), language), ButtonAction("theme", "", zh)) for label, zh in _FIRST]
    return InlineKeyboardMarkup([[_button(say("write_one", language), ButtonAction("theme", ""))], themes])


def forms_for(request: PoemRequest) -> list[str]:
    """The forms in which the same text can be written."""
    found: dict[str, str] = {}
    for form in FORMS[1:]:
        try:
            found.setdefault(outline(replace(request, form=form, lines=None)).form, form)
        except PoemError:
            continue
    return list(found.values())


def choose_form(card: str, request: PoemRequest, language: Language) -> InlineKeyboardMarkup:
    buttons = [_button(in_script(form, language), ButtonAction("form", card, form)) for form in forms_for(request)]
    rows = [buttons[i : i + 3] for i in range(0, len(buttons), 3)]
    return InlineKeyboardMarkup([*rows, [_named("back", card, language)]])


def choose_mood(card: str, request: PoemRequest, language: Language) -> InlineKeyboardMarkup:
    """Three moods, different ones under different poems, and never the current one."""
    first = zlib.crc32(card.encode())
    order = [(first + i) % len(MOODS) for i in range(len(MOODS))]
    offered = [number for number in order if MOODS[number][2] != request.mood][:MOODS_OFFERED]
    buttons = [_button(pick(MOODS[n][:2], language), ButtonAction("mood", card, str(n))) for n in offered]
    return InlineKeyboardMarkup([buttons, [_named("back", card, language)]])


def unwritten(card: str, language: Language) -> InlineKeyboardMarkup:
    """Under an inline message whose poem is not written yet."""
    return InlineKeyboardMarkup([[_named("write", card, language)]])


def choose_language() -> InlineKeyboardMarkup:
    buttons = [[_button(name, ButtonAction("language", "", code))] for code, name in LANGUAGES.items()]
    return InlineKeyboardMarkup(
        [*buttons, [_button("自动 · automatic", ButtonAction("language", "", AUTOMATIC_LANGUAGE))]]
    )


def request_after(request: PoemRequest, press: ButtonAction) -> PoemRequest | None:
    """The request after a press, with a new seed; None: there is no such form or mood."""
    fresh = replace(request, seed=None)
    if press.action == "form":
        return replace(fresh, form=press.choice, lines=None) if press.choice in FORMS else None
    if press.action == "mood":
        known = press.choice.isdecimal() and int(press.choice) < len(MOODS)
        return replace(fresh, mood=MOODS[int(press.choice)][2]) if known else None
    return fresh


def _named(action: Named, card: str, language: Language) -> InlineKeyboardButton:
    return _button(say(action, language), ButtonAction(action, card))


def _button(label: str, press: ButtonAction) -> InlineKeyboardButton:
    return InlineKeyboardButton(label, callback_data=press.data())
