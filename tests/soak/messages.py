"""A hundred thousand fuzzed messages."""

from __future__ import annotations

import logging
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from telegram import Bot, Update

from bot.best_effort import BestEffortSender
from bot.blocklist import Blocklist
from bot.command_menu import CommandMenu
from bot.metrics import Metrics
from bot.standalone.redis_server import RedisServer
from bot.submission import Submitter
from bot.updates.admin import ADMIN_COMMANDS
from bot.updates.commands import is_for_another_bot, parse, without_mention
from bot.updates.handlers import Handlers
from bot.views.messages import as_language
from bot.views.poem import reply_html
from engine.contract import Poem
from engine.contract.check import CheckRequest
from engine.contract.queue.acceptance import Limits
from engine.contract.queue.messages import Chat, Job, Reply
from engine.contract.queue.store import Queue, connect
from tests.soak.harness import SoakResult
from tests.support.fake_bot_api import BOT_NAME, TOKEN
from tests.support.fake_poet import BUG, KILLS, REFUSED, FakePoet
from tests.support.fake_telegram import FakeTelegram

TAGS = {"b", "i", "code"}
LONGEST = 4096
"""Maximum visible text, in UTF-16 units."""
ALPHABETS = (
    [(0x4E00, 0x9FFF)],
    [(0x20, 0x7E)],
    [(0x00, 0x1F), (0x7F, 0x9F)],
    [(0x200B, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069), (0xFEFF, 0xFEFF)],
    [(0x3000, 0x303F), (0xFF00, 0xFFEF)],
    [(0x300, 0x36F), (0xFE00, 0xFE0F), (0x1F300, 0x1FAFF)],
    [(0x3400, 0x4DBF), (0x20000, 0x323AF)],
    [(0x0000, 0xD7FF), (0xE000, 0x10FFFF)],
    [(0xD800, 0xDFFF)],
)
"""Ranges: ideographs, ASCII, controls, direction marks, full width, combining and emoji, rare ideographs, every plane,
lone surrogates (Telegram sends none, but JSON may contain them)."""
MENTIONS = (
    "",
    f"@{BOT_NAME}",
    f"@{BOT_NAME.upper()}",
    "@other_bot",
    "@",
    "@@",
    "@春",
    f"@{BOT_NAME}x",
    f" @{BOT_NAME}",
)
NAMES = (
    "continue",
    "acrostic",
    "start",
    "help",
    "privacy",
    "retrain",
    "model",
    "check",
    "language",
    "CONTINUE",
    "nonsense",
    "",
    "春",
)
SPACES = (" ", "", "\n", "\t", "\u3000", "\u00a0", "  ")
PIECES = (
    "<b>", "</b>", "<script>", "&lt;", "&amp;", "&#0;", "<", ">", "&", '"', "{0}", "%s", "${x}", "'; DROP", "../..",
    "|", "｜", "七绝", "六绝", "排律", "五言", "，", "？", "床前明月光", "老夫聊发少年狂", "長安", "𠮷",
    "\x00", "\u202e", "\ud83d",
)  # fmt: skip
PLACES: tuple[dict[str, Any], ...] = (
    {"chat": 7, "kind": "private"},
    {"chat": -100, "kind": "supergroup", "topic": 5},
    {"chat": -5, "kind": "group"},
)


@dataclass(frozen=True)
class Message:
    text: str
    place: dict[str, Any]
    language: str | None


class _Seen(HTMLParser):
    """What Telegram makes of a message: its text, or ValueError if it would refuse it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS or attrs:
            raise ValueError(f"a tag {tag}")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            raise ValueError(f"an end of {tag}")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise ValueError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise ValueError("a declaration")

    def handle_pi(self, data: str) -> None:
        raise ValueError("an instruction")

    def close(self) -> None:
        super().close()
        if self._open:
            raise ValueError("a tag left open")


def valid(html: str) -> bool:
    """Whether Telegram would accept it: tags, length, and UTF-8."""
    seen = _Seen()
    try:
        seen.feed(html)
        seen.close()
        return bool(seen.text.strip()) and len(seen.text.encode("utf-16-le")) // 2 <= LONGEST
    except (ValueError, UnicodeEncodeError):
        return False


def to_be_answered(message: Message) -> bool:
    """The rule: in private chats everything but commands for another bot; elsewhere known commands, and messages that
    name the bot."""
    if is_for_another_bot(message.text, BOT_NAME):
        return False
    command = parse(message.text, BOT_NAME)
    if command is None:
        return message.place["kind"] == "private" or without_mention(message.text, BOT_NAME)[1]
    known = ("continue", "acrostic", "check", "language", "start", "help", "privacy", *ADMIN_COMMANDS)
    return message.place["kind"] == "private" or command.named or command.name in known


def fuzzed_message(count: int, seed: int) -> Iterator[Message]:
    """Combines pieces, alphabets and lengths, mostly after a command."""
    choose = random.Random(seed)

    def run_of() -> str:
        ranges = choose.choice(ALPHABETS)
        length = choose.choice((1, 1, 2, 5, 7, 20, 33, 200))
        return "".join(chr(choose.randint(*choose.choice(ranges))) for _ in range(length))

    for _ in range(count):
        parts = [choose.choice(PIECES) if choose.random() < 0.5 else run_of() for _ in range(choose.randint(0, 5))]
        text = choose.choice(("", "", " ")).join(parts)
        if choose.random() < 0.02:
            text = (text or "春") * 4096
        if choose.random() < 0.8:
            text = f"/{choose.choice(NAMES)}{choose.choice(MENTIONS)}{choose.choice(SPACES)}{text}"
        language = choose.choice(("zh-hans", "zh-hant", "en", None, "xx", "\u202e"))
        yield Message(text[:LONGEST] or "春", choose.choice(PLACES), language)


def handlers(queue: Queue, bot: Bot) -> Handlers:
    """The bot's own, without limits and administrators."""
    best_effort = BestEffortSender(bot)
    submitter = Submitter(queue, Blocklist.load(None), Limits(), 60, 0)
    return Handlers(
        submitter, best_effort, BOT_NAME, 123456, CommandMenu(best_effort, frozenset()), Metrics(), False, False
    )


class Fuzzing:
    """Runs the bot's handlers over a real queue and checks the result of each message. AssertionError: a guarantee is
    broken."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._handlers = handlers(queue, Bot(TOKEN))
        self._telegram = FakeTelegram()
        self.answered = self.ignored = 0

    async def run(self, messages: Iterable[Message]) -> None:
        wanted: dict[int, Message] = {}
        for message in messages:
            update = self._telegram.update(message.text, language=message.language, **message.place)
            read = Update.de_json(update, None)
            assert read.message is not None
            wanted[read.message.message_id] = message
            await self._handlers.handle(read)
        found = await self._come_of()
        for number, message in wanted.items():
            assert found[number] == to_be_answered(message), message
            self.answered += found[number]
            self.ignored += not found[number]

    async def _come_of(self) -> Counter[int]:
        """Jobs and replies by the message that they answer; each one is checked and finished."""
        found: Counter[int] = Counter()
        poet, jobs = FakePoet(), []
        while deliveries := await self._queue.jobs.take("fuzz", 500, 0):
            for delivery in deliveries:
                job = Job.from_fields(delivery.fields)
                assert isinstance(job.to, Chat)
                found[job.to.message or 0] += 1
                jobs.append(job)
                await self._queue.jobs.finish(delivery.id)
        while deliveries := await self._queue.replies.take("fuzz", 500, 0):
            for delivery in deliveries:
                reply = Reply.from_fields(delivery.fields)
                assert isinstance(reply.to, Chat)
                found[reply.to.message or 0] += 1
                self._shown(reply)
                await self._queue.replies.finish(delivery.id)
        for job in jobs:
            if isinstance(job.request, CheckRequest):
                self._shown(Reply(job.to, job.language, poet.examine(job.request), job.request))
            elif not {KILLS, BUG, REFUSED} & set(job.request.text):
                poet.add(job.request)
                [(_, poem)] = poet.step()
                self._shown(Reply(job.to, job.language, poem, job.request))
        return found

    def _shown(self, reply: Reply) -> None:
        content = reply.content
        if isinstance(content, Poem):
            content = Blocklist.load(None).screen(content)
        html = reply_html(content, reply.request, as_language(reply.language))
        assert valid(html), html


async def fuzzed(count: int = 100_000, batch: int = 1000) -> SoakResult:
    """``lost``: messages without the expected answer; the first one ends the test, as an exception does."""
    logging.getLogger("bot.updates.handlers").setLevel(logging.ERROR)  # it logs every refused user
    with tempfile.TemporaryDirectory(prefix="poem-fuzz-") as folder:
        store = RedisServer(Path(folder))
        store.start()
        redis = connect(store.url)
        try:
            queue = Queue(redis, "fuzz:")
            await queue.prepare()
            fuzzing = Fuzzing(queue)
            for seed in range(count // batch):
                await fuzzing.run(fuzzed_message(batch, seed))
        finally:
            await redis.aclose()
            store.stop()
    more: dict[str, float] = {"answered": fuzzing.answered, "ignored": fuzzing.ignored}
    return SoakResult("odd messages", count, fuzzing.answered, 0, 0, more)
