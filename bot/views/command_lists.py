"""The bot's description and its commands as Telegram shows them: by language, for groups and for administrators."""

from __future__ import annotations

from bot.views.messages import Language, pick

_MENU_COMMANDS = {
    "poem": ("命题：按题目写一首", "a poem on a theme"),
    "continue": ("续写：一句成诗", "a poem from your first line"),
    "acrostic": ("藏头：一字一句", "an acrostic: one line per character"),
    "check": ("查格律：形式、平仄、押韵", "check a poem: form, tones, rhymes"),
    "cancel": ("取消等待", "stop waiting"),
    "language": ("换语言", "change the language"),
    "help": ("用法与例子", "how to use me, with examples"),
    "privacy": ("隐私说明", "what is stored, and how long"),
}
_GROUP_COMMANDS = ("poem", "continue", "acrostic", "check", "cancel", "help")
_ADMIN_MENU_COMMANDS = {
    "retrain": ("再训练", "train the model further"),
    "model": ("模型版本", "model versions"),
    "stats": ("今日统计", "today in numbers"),
}
BOT_DESCRIPTION = (
    "写诗的机器人：按题目写一首，接着您的首句续写，或写藏头诗；合平仄，押平水韵。\n\n"
    "发一句诗（老夫聊发少年狂）、一个题目（春天），或说：写一首藏头诗：春风十里",
    "I write classical Chinese poems: on a theme, from your first line, or as an acrostic, with true tones and rhymes."
    "\n\nNo Chinese needed: send spring, or autumn moon.",
)
"""What an empty chat shows before it begins; 512 characters at most."""
BOT_SHORT_DESCRIPTION = (
    "写古诗：命题、续写、藏头，合格律。例：写一首春天的七绝",
    "Classical Chinese poems on a theme, from your line, or as an acrostic. Try: spring",
)
"""What the bot's profile shows; 120 characters at most."""


def command_list(language: Language, *, group: bool = False, admin: bool = False) -> list[tuple[str, str]]:
    """Each command with what it does."""
    names = _GROUP_COMMANDS if group else tuple(_MENU_COMMANDS)
    commands = {name: _MENU_COMMANDS[name] for name in names} | (_ADMIN_MENU_COMMANDS if admin else {})
    return [(name, pick(texts, language)) for name, texts in commands.items()]
