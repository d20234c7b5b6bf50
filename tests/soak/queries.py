"""Fuzzed button presses and inline queries: each is answered once, with what Telegram accepts.

Their text is well-formed Unicode, because answers to them go straight to Telegram, which sends and accepts nothing
else.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from telegram import Bot, Update

from bot.standalone.redis_server import RedisServer
from engine.contract import Poem, PoemRequest
from engine.contract.queue.cards import Card
from engine.contract.queue.store import Queue, connect
from tests.soak.harness import SoakResult
from tests.soak.messages import Message, fuzzed_message, handlers
from tests.support.fake_bot_api import TOKEN
from tests.support.fake_telegram import FakeTelegram

POEM = Poem("acrostic", "春山山山山。", ("春山山山山",), "五言", 1, 1, "fake")
ACTIONS = ("another", "forms", "moods", "picture", "back", "write", "form", "mood", "language", "nonsense", "")
NO_CARDS = ("2-0", "", "*", "../..", "{0}", "99999999999999999999-1", "1-", "-1-1", "²-²")
CHOICES = ("", "七绝", "七律", "六绝", "0", "5", "6", "-1", "²", "en", "zh-hant", "auto", "xx", "\x00", "<b>")
AT_ONCE = 100
"""Fewer than the number of best-effort calls after which the bot drops some."""


def queries(count: int, seed: int, card: str) -> Iterator[dict[str, Any]]:
    """Updates without their ID: callbacks on messages, on inline messages and on none, inline queries, and chosen
    results.

    ``card``: the ID of an existing card.
    """
    choose, cards = random.Random(seed), (card, *NO_CARDS)
    for odd in fuzzed_message(count, seed):
        message = replace(odd, text=odd.text.encode("utf-8", "replace").decode())
        kind = choose.choice(("press", "press", "inline", "chosen"))
        sender: dict[str, Any] = {"id": choose.randint(1, 50), "is_bot": False, "first_name": message.text[:9]}
        if message.language is not None:
            sender["language_code"] = message.language
        if kind == "press":
            yield {"callback_query": _press(choose, message, sender, cards)}
        elif kind == "inline":
            yield {"inline_query": {"from": sender, "query": message.text[:256], "offset": choose.choice(("", "9"))}}
        else:
            result = {
                "from": sender,
                "query": message.text[:256],
                "result_id": choose.choice((*cards, message.text[:64])),
            }
            if choose.random() < 0.8:
                result["inline_message_id"] = f"inline{choose.randint(1, 9)}"
            yield {"chosen_inline_result": result}


def _press(choose: random.Random, message: Message, sender: dict[str, Any], cards: tuple[str, ...]) -> dict[str, Any]:
    made = ":".join((choose.choice(ACTIONS), choose.choice(cards), choose.choice(CHOICES)))
    query: dict[str, Any] = {"from": sender, "chat_instance": "1"}
    if choose.random() < 0.95:
        query["data"] = made if choose.random() < 0.8 else message.text[:64]
    where = choose.random()
    if where < 0.5:
        chat = {"id": message.place["chat"], "type": message.place["kind"], "title": "诗社", "first_name": "某"}
        # Date 0: a message that the bot has no access to any more.
        query["message"] = {"message_id": choose.randint(1, 9), "date": choose.choice((0, 1_700_000_000)), "chat": chat}
    elif where < 0.9:
        query["inline_message_id"] = f"inline{choose.randint(1, 9)}"
    return query


async def run(queue: Queue, telegram: FakeTelegram, count: int, seed: int) -> int:
    """Send them all; returns how many were answered. AssertionError: one was not. The ``telegram`` must be started."""
    answered = 0
    async with Bot(TOKEN, base_url=telegram.base_url) as bot:
        handle = handlers(queue, bot).handle
        card = await queue.cards.keep(Card(PoemRequest("acrostic", "春"), POEM))
        made, number = list(queries(count, seed, card)), seed * count + 1
        for first in range(0, count, AT_ONCE):
            pressed, asked = set(), set()
            for update in made[first : first + AT_ONCE]:
                number += 1
                if "callback_query" in update:
                    pressed.add(f"q{number}")
                    update["callback_query"]["id"] = f"q{number}"
                elif "inline_query" in update:
                    asked.add(f"q{number}")
                    update["inline_query"]["id"] = f"q{number}"
                await handle(Update.de_json({"update_id": number, **update}, bot))
            await telegram.until(lambda: pressed <= telegram.answers.keys() and asked <= telegram.offers.keys())  # noqa: B023
            answered += len(pressed) + len(asked)
            for stream in (queue.jobs, queue.replies):
                for delivery in await stream.take("fuzz", 1000, 0):
                    await stream.finish(delivery.id)
    return answered


async def fuzzed(count: int = 20_000, batch: int = 1000) -> SoakResult:
    telegram, answered = FakeTelegram(), 0
    await telegram.start()
    with tempfile.TemporaryDirectory(prefix="poem-fuzz-") as folder:
        store = RedisServer(Path(folder))
        store.start()
        redis = connect(store.url)
        try:
            queue = Queue(redis, "fuzz:")
            await queue.prepare()
            for seed in range(count // batch):
                answered += await run(queue, telegram, batch, seed)
        finally:
            await redis.aclose()
            store.stop()
            await telegram.stop()
    return SoakResult("fuzzed button presses and inline queries", count, answered, 0, 0)
