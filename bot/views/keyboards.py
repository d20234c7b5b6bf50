"""The buttons under messages: their labels, and what pressing them means. Pure.

A button refers to a card (the poem and its request, stored in Redis), because its own data is limited to 64 bytes.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace
from typing import Literal, get_args

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.views.messages import LANGUAGES, Language, in_script, message_text, pick
from engine.contract import PoemError, PoemRequest, outline
from engine.contract.poem import FORMS
from engine.contract.queue.messages import Inline, TelegramAddress

PlainAction = Literal["another", "forms", "moods", "picture", "back", "write"]
ActionWithChoice = Literal["form", "mood", "language", "theme"]
Action = PlainAction | ActionWithChoice
_ACTIONS = (*get_args(PlainAction), *get_args(ActionWithChoice))

MOODS = (
    ("边塞", "Frontier", "大漠孤烟直，长河落日圆"),
    ("山水", "Mountains", "明月松间照，清泉石上流"),
    ("送别", "Farewell", "劝君更尽一杯酒，西出阳关无故人"),
    ("怀古", "The past", "旧时王谢堂前燕，飞入寻常百姓家"),
    ("思乡", "Homesick", "露从今夜白，月是故乡明"),
    ("春日", "Spring", "迟日江山丽，春风花草香"),
)
"""Name in Chinese, name in English, and the verse that sets the mood."""
_FIRST_THEMES = (("Spring", "春"), ("The moon", "月"), ("Mountains", "山水"), ("Homesick", "思乡"))
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


def button_lock_key(to: TelegramAddress) -> str:
    """The key by which the buttons of a message are locked while one of them is handled."""
    return f"i{to.message}" if isinstance(to, Inline) else f"{to.chat}:{to.message}"


def under_poem(card: str, language: Language, picture: bool, query: str = "") -> InlineKeyboardMarkup:
    """``picture``: whether pictures can be drawn; ``query``: the inline query that finds the poem."""
    rows: list[list[PlainAction]] = [["another", "forms"], ["moods", "picture"] if picture else ["moods"]]
    buttons = [[_action_button(action, card, language) for action in row] for row in rows]
    if query:
        buttons[-1].append(InlineKeyboardButton(message_text("share", language), switch_inline_query=query))
    return InlineKeyboardMarkup(buttons)


def share_query(card: str) -> str:
    """The inline query that finds the poem of ``card``; its name is known only to those who have the poem."""
    return f"#{card}"


def card_of_share_query(query: str) -> str:
    """The card that an inline query from ``share_query`` refers to, or an empty string."""
    match = re.fullmatch(r"#([\w.-]{3,60})", query.strip(), re.ASCII)
    return match[1] if match else ""


def first_poem(language: Language) -> InlineKeyboardMarkup:
    """For users who have not written anything yet."""
    themes = [_button(pick((zh, label), language), ButtonAction("theme", "", zh)) for label, zh in _FIRST_THEMES]
    return InlineKeyboardMarkup([[_button(message_text("write_one", language), ButtonAction("theme", ""))], themes])


def forms_for(request: PoemRequest) -> list[str]:
    """The forms in which the same text can be written."""
    forms: dict[str, str] = {}
    for form in FORMS[1:]:
        try:
            forms.setdefault(outline(replace(request, form=form, lines=None)).form, form)
        except PoemError:
            continue
    return list(forms.values())


def choose_form(card: str, request: PoemRequest, language: Language) -> InlineKeyboardMarkup:
    buttons = [_button(in_script(form, language), ButtonAction("form", card, form)) for form in forms_for(request)]
    rows = [buttons[i : i + 3] for i in range(0, len(buttons), 3)]
    return InlineKeyboardMarkup([*rows, [_action_button("back", card, language)]])


def choose_mood(card: str, request: PoemRequest, language: Language) -> InlineKeyboardMarkup:
    """Three moods, different ones under different poems, and never the current one."""
    first = zlib.crc32(card.encode())
    order = [(first + i) % len(MOODS) for i in range(len(MOODS))]
    offered = [number for number in order if MOODS[number][2] != request.mood][:MOODS_OFFERED]
    buttons = [_button(pick(MOODS[n][:2], language), ButtonAction("mood", card, str(n))) for n in offered]
    return InlineKeyboardMarkup([buttons, [_action_button("back", card, language)]])


def write_button(card: str, language: Language) -> InlineKeyboardMarkup:
    """Under an inline message whose poem is not written yet."""
    return InlineKeyboardMarkup([[_action_button("write", card, language)]])


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


def _action_button(action: PlainAction, card: str, language: Language) -> InlineKeyboardButton:
    return _button(message_text(action, language), ButtonAction(action, card))


def _button(label: str, press: ButtonAction) -> InlineKeyboardButton:
    return InlineKeyboardButton(label, callback_data=press.data())
