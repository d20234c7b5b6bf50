"""Publishes the bot's description and its command lists to Telegram."""

from __future__ import annotations

from dataclasses import dataclass

from telegram import BotCommandScope, BotCommandScopeAllGroupChats, BotCommandScopeChat, BotCommandScopeDefault

from bot.best_effort import BestEffortSender
from bot.views.command_lists import BOT_DESCRIPTION, BOT_SHORT_DESCRIPTION, command_list
from bot.views.messages import Language, pick

_MENU_LANGUAGES: dict[str | None, Language] = {None: "en", "zh": "zh-hans"}
"""Telegram identifies languages by two letters; the list without a code is shown for all others."""


@dataclass(frozen=True)
class CommandMenu:
    """Calls run in the background; one that fails is repeated at the next start of the bot."""

    best_effort: BestEffortSender
    admins: frozenset[int]

    def publish(self) -> None:
        for code, language in _MENU_LANGUAGES.items():
            self._set(BotCommandScopeDefault(), command_list(language), code)
            self._set(BotCommandScopeAllGroupChats(), command_list(language, group=True), code)
            for admin in sorted(self.admins):
                self._set(BotCommandScopeChat(admin), command_list(language, admin=True), code)
            bot = self.best_effort.bot
            self.best_effort.start(bot.set_my_description(pick(BOT_DESCRIPTION, language), language_code=code))
            self.best_effort.start(
                bot.set_my_short_description(pick(BOT_SHORT_DESCRIPTION, language), language_code=code)
            )

    def change(self, user: int, language: Language | None) -> None:
        """Show a person's command list in the language they chose; None: the language of their Telegram app."""
        for code, default in _MENU_LANGUAGES.items():
            self._set(BotCommandScopeChat(user), command_list(language or default, admin=user in self.admins), code)

    def _set(self, scope: BotCommandScope, commands: list[tuple[str, str]], code: str | None) -> None:
        self.best_effort.start(self.best_effort.bot.set_my_commands(commands, scope=scope, language_code=code))
