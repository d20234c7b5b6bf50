"""Parses message texts into commands and requests. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from difflib import get_close_matches

from bot.updates.phrases import SPOKEN_FORMS, is_conversation, match_phrase
from engine.contract import PoemRequest
from engine.contract.pasted import poem_lines
from engine.contract.poem import FORMS, MAX_TEXT, Mode
from engine.contract.request_fields import FORM_TO_SIMPLIFIED, LEVEL_RHYMES
from engine.contract.text import clauses, foreign_character, only_chinese
from engine.contract.themes import is_theme

_COMMAND = re.compile(r"[/／]([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?", re.DOTALL)
_SLASH = re.compile(r"[/／]\s*(?=\S)")
_MOOD_MARK = re.compile(r"[|｜∣│]")
_WORD = re.compile(r"[^\s：:，,；;。]+")
_SEPARATORS = " \t\n\r　：:，,；;"
_RHYME = re.compile(rf"(?:押|韵|韻)?[：:]?({'|'.join(LEVEL_RHYMES)})(?:韵|韻)?")
# 六绝 or 三律 beside a line can only mean a form that does not exist: it is kept as the form, so that the user is told.
_FORM_LIKE = re.compile(r"[一二三四五六七八九十][绝律言]|[五七][言]?(?:绝句|律诗|古诗|古风|排律)|词|曲")
_KNOWN_COMMANDS = ("poem", "continue", "acrostic", "check", "again", "cancel", "language", "help", "start", "privacy")
_COMMAND_MODES: dict[str, Mode] = {"continue": "continue", "acrostic": "acrostic", "poem": "theme"}

MIN_LINE_CHARACTERS, MIN_CLAUSE_CHARACTERS = 4, 2
"""Minimum lengths of clauses for a text without a command to count as verse: of the longest clause, and of the
others."""

SIMILARITY = 0.7
"""Minimum similarity, by ``difflib``'s ratio, of a misspelled command to the one that is meant."""
WHOLE_POEM_LINES = 4
"""Minimum number of lines of a poem pasted with its title."""

HEAD_COUNTS = (2, 4)
"""Numbers of characters, at least and at most, for which an acrostic is proposed."""

_JOINED_LINES = {10: 5, 14: 7}
"""Two lines typed without punctuation between them: total length → length of each."""


@dataclass(frozen=True)
class ChatCommand:
    """``name``: in lower case; ``rest``: what follows, including line breaks; ``named``: whether the command included
    the bot's name; ``form``: the form, if a phrase named one; ``unused_name``: a name that cannot be used."""

    name: str
    rest: str
    named: bool = False
    form: str = ""
    unused_name: str = ""


def parse(text: str, bot_name: str) -> ChatCommand | None:
    """The command in a message; None: it is not a command, or one for another bot."""
    match = _COMMAND.fullmatch(text.strip())
    if match is None:
        return None
    name, mention, rest = match.groups()
    if mention is not None and mention.lower() != bot_name.lower():
        return None
    return ChatCommand(name.lower(), (rest or "").strip(), mention is not None)


def is_for_another_bot(text: str, bot_name: str) -> bool:
    """Whether a message is a command for another bot."""
    match = _COMMAND.fullmatch(text.strip())
    return match is not None and match[2] is not None and match[2].lower() != bot_name.lower()


def closest_command(name: str, others: Collection[str]) -> str | None:
    """The command that ``name`` is or may be a misspelling of; None if it is one of the ``others``."""
    return None if name in others else next(iter(get_close_matches(name, _KNOWN_COMMANDS, 1, SIMILARITY)), None)


def poem_request(command: ChatCommand) -> PoemRequest | None:
    """``/continue line``, ``/acrostic heads`` or ``/poem theme``, with form and rhyme before or after it and a mood
    after ``|``; None for other commands.

    Only parses; ``engine.contract.outline`` decides whether the request is valid.
    """
    mode = _COMMAND_MODES.get(command.name)
    if mode is None:
        return None
    line, _, mood = _MOOD_MARK.sub("|", command.rest, count=1).partition("|")
    request = _parse_line(line, mode)
    if command.form and request.form == "auto":
        request = replace(request, form=command.form)
    if command.form and mode == "theme" and _is_verse(request.text):
        request = replace(request, mode="continue")  # 写一首七绝：老夫聊发少年狂
    return replace(request, mood=mood.strip() or None)


def interpret(text: str) -> ChatCommand | PoemRequest | None:
    """Interpret a text without a slash command; None: its meaning is unclear."""
    text = _SLASH.sub("", text, count=1) if _SLASH.match(text) else text
    match = match_phrase(text)
    if match is not None:
        return ChatCommand(match.name, match.rest, form=match.form, unused_name=match.unused_name)
    if _is_whole_poem(text):
        return ChatCommand("check", text)
    line, _, mood = _MOOD_MARK.sub("|", text, count=1).partition("|")
    if is_theme(line):
        return PoemRequest("theme", line.strip())
    request = replace(_parse_line(line, "continue"), mood=mood.strip() or None)
    lines = clauses(request.text)
    if not lines and request.form != "auto" and request.form in FORMS and not request.text:
        return replace(request, mode="theme")
    couplet = len(lines) > 1 and {len(clause) for clause in lines} in ({5}, {7})
    if not lines or foreign_character(text) or is_conversation(text, couplet):
        return None
    longest = max(map(len, lines))
    if request.form != "auto" and len(lines) == 1 and _is_title(lines[0], request.form):
        return replace(request, mode="theme")
    if is_theme(request.text) or (request.form != "auto" and longest < MIN_LINE_CHARACTERS):
        return replace(request, mode="theme")
    if longest < MIN_LINE_CHARACTERS or min(map(len, lines)) < MIN_CLAUSE_CHARACTERS:
        return None
    if request.form == "auto" and len(lines) == 1 and (length := _JOINED_LINES.get(longest)):
        request = replace(request, text=f"{lines[0][:length]}，{lines[0][length:]}")
    return request


def possible_heads(text: str) -> str:
    """``text`` if it is a few Chinese characters without a theme or conversation, such as 我爱你; otherwise empty."""
    lines = clauses(text)
    short = len(lines) == 1 and HEAD_COUNTS[0] <= len(lines[0]) <= HEAD_COUNTS[1]
    return lines[0] if short and not foreign_character(text) and not is_conversation(text, False) else ""


def vary_request(last: PoemRequest, command: ChatCommand) -> PoemRequest:
    """The last request once more, in the form that ``command`` names, or longer."""
    if command.form:
        return replace(last, form=command.form)
    if command.rest == "longer" and last.mode != "acrostic":
        default = "七律" if last.mode == "theme" else "排律"
        longer = {"auto": default, "五绝": "五律", "七绝": "七律", "古风": "古风"}
        return replace(last, form=longer.get(last.form.translate(FORM_TO_SIMPLIFIED), "排律"))
    return last


def without_mention(text: str, bot_name: str) -> tuple[str, bool]:
    """``text`` without the bot's name, and whether it contained it."""
    left, count = re.subn(rf"(?<![\w@])@{re.escape(bot_name)}(?![A-Za-z0-9_])", " ", text, flags=re.IGNORECASE)
    return left.strip(), count > 0


def _parse_line(line: str, mode: Mode) -> PoemRequest:
    """Extract form and rhyme group from anywhere in ``line``; the rest is the text."""
    form, rhyme = "auto", None
    words = list(_WORD.finditer(line))
    used: list[re.Match[str]] = []
    for word in words:
        name = word[0].translate(FORM_TO_SIMPLIFIED)
        if form == "auto" and (known := SPOKEN_FORMS.get(name, name)) in FORMS[1:]:
            form = known
        elif rhyme is None and len(words) > 1 and (group := _RHYME.fullmatch(name)):
            rhyme = group[1]
        else:
            continue
        used.append(word)
    if form == "auto" and len(words) - len(used) > 1:
        for word in (words[0], words[-1]):
            if form == "auto" and word not in used and _FORM_LIKE.fullmatch(word[0].translate(FORM_TO_SIMPLIFIED)):
                form = word[0].translate(FORM_TO_SIMPLIFIED)
                used.append(word)
    text = line.strip()
    for word in sorted(used, key=lambda word: -word.start()):
        before, after = line[: word.start()], line[word.end() :]
        line = before.rstrip(_SEPARATORS) + (" " if before.strip(_SEPARATORS) else "") + after.lstrip(_SEPARATORS)
        text = line.strip(_SEPARATORS)
    if form == "auto":
        form, text = _joined_form(text, mode)
    return PoemRequest(mode, text, form, rhyme)


def _joined_form(text: str, mode: Mode) -> tuple[str, str]:
    """Extract a form written without a space before or after the text: 七言春风十里, 五绝床前明月光."""
    plain = text.translate(FORM_TO_SIMPLIFIED)
    for name in (*SPOKEN_FORMS, *FORMS[1:]):
        form = SPOKEN_FORMS.get(name, name)
        if plain.startswith(name):
            rest = text[len(name) :].lstrip(_SEPARATORS)
        elif plain.endswith(name):
            rest = text[: -len(name)].rstrip(_SEPARATORS)
        else:
            continue
        lengths = {5: "五", 7: "七"}
        fits = mode != "continue" or lengths.get(len(clauses(rest)[0]) if clauses(rest) else 0) == form[0]
        if rest and fits and name not in ("古风", "绝句", "律诗"):
            return form, rest
    return "auto", text


def _is_whole_poem(text: str) -> bool:
    """Whether a poem was pasted as a whole: it comes with its title or author, or leaves no room for more lines."""
    lines = poem_lines(text)
    length = len("".join(lines))
    regular = len(lines) >= WHOLE_POEM_LINES and {len(line) for line in lines} in ({5}, {7})
    return regular and (len(only_chinese(text)) > length or length > MAX_TEXT)


def _is_title(clause: str, form: str) -> bool:
    """Whether the text beside a form cannot be a line of it, but a theme: 七绝 秋天的思念."""
    expected = {"五": 5, "七": 7}.get(form[0], len(clause))
    return len(clause) != expected and (len(clause) not in (5, 7) or "的" in clause)


def _is_verse(text: str) -> bool:
    return any(len(clause) in (5, 7) for clause in clauses(text))
