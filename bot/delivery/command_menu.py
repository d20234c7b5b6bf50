"""The lists of commands that Telegram shows: by language, for groups, for administrators."""

from __future__ import annotations

from dataclasses import dataclass

from telegram import BotCommandScope, BotCommandScopeAllGroupChats, BotCommandScopeChat, BotCommandScopeDefault

from bot.delivery.best_effort import Asides
from bot.views.messages import Language, in_script

_COMMANDS = {
    "continue": ("续写：一句成诗", "go on from a line"),
    "acrostic": ("藏头：一字一句", "an acrostic, a line a character"),
    "check": ("查格律：形式、平仄、押韵", "examine a poem: form, tones, rhymes"),
    "cancel": ("不等了", "stop waiting"),
    "language": ("换语言", "change the language"),
    "help": ("用法与例子", "how to use me, with examples"),
    "privacy": ("我记住什么", "what I keep"),
}
_GROUP = ("continue", "acrostic", "check", "cancel", "help")
_ADMIN = {
    "retrain": ("再训练", "train on"),
    "model": ("模型版本", "model versions"),
    "stats": ("今日统计", "the day in numbers"),
}
_OWN: dict[str | None, Language] = {None: "en", "zh": "zh-hans"}
"""Telegram tells languages by two letters, and shows the first list to all others."""


@dataclass(frozen=True)
class Menu:
    """Lists are asked for in the background; one that fails is asked for again at the next start."""

    asides: Asides
    admins: frozenset[int]

    def publish(self) -> None:
        for code, language in _OWN.items():
            self._set(BotCommandScopeDefault(), listed(language), code)
            self._set(BotCommandScopeAllGroupChats(), listed(language, group=True), code)
            for admin in sorted(self.admins):
                self._set(BotCommandScopeChat(admin), listed(language, admin=True), code)

    def change(self, user: int, language: Language | None) -> None:
        """Show a person's list in the language that they chose; None: in that of their Telegram."""
        for code, own in _OWN.items():
            self._set(BotCommandScopeChat(user), listed(language or own, admin=user in self.admins), code)

    def _set(self, scope: BotCommandScope, commands: list[tuple[str, str]], code: str | None) -> None:
        self.asides.say(self.asides.bot.set_my_commands(commands, scope=scope, language_code=code))


def listed(language: Language, *, group: bool = False, admin: bool = False) -> list[tuple[str, str]]:
    """Commands with what they do."""
    names = _GROUP if group else tuple(_COMMANDS)
    found = {name: _COMMANDS[name] for name in names} | (_ADMIN if admin else {})
    return [(name, en if language == "en" else in_script(zh, language)) for name, (zh, en) in found.items()]
