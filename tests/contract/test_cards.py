"""Poems behind buttons: they are read as they were stored, take little memory, and expire."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from engine.contract import Poem, PoemRequest
from engine.contract.queue import cards
from engine.contract.queue.acceptance import DAY_SECONDS
from engine.contract.queue.cards import CARD_TTL_SECONDS, Card
from engine.contract.queue.messages import Chat, Job
from engine.contract.queue.store import Queue

REQUEST = PoemRequest("acrostic", "春风十里")
LINES = ("春夜光明媚", "风流草木香", "十年浮瘴疠", "里巷为深康")
POEM = Poem(
    "acrostic",
    "春夜光明媚，风流草木香。\n十年浮瘴疠，里巷为深康。",
    LINES,
    "五绝",
    5,
    8,
    "tang-3",
    rhyme="七阳",
    template="五绝·仄起首句不入韵",
)


@pytest.mark.parametrize(
    "card",
    [
        Card(REQUEST),
        Card(REQUEST, POEM),
        Card(PoemRequest("continue", "恶龙", "古风", "七阳", "欲穷千里目", 6, 7, 3), replace(POEM, mood="欲穷千里目")),
        Card(REQUEST, replace(POEM, rhyme=None, template=None)),
        # Poems that are not what their request and their text let one expect.
        Card(REQUEST, replace(POEM, mode="continue", lines=LINES[:2])),
        Card(REQUEST, replace(POEM, text="", lines=())),
    ],
)
async def test_a_card_comes_back_as_it_was_kept(queue: Queue, card: Card) -> None:
    assert await queue.cards.find(await queue.cards.keep(card)) == card


async def test_every_poem_keeps_a_card_of_its_own_and_the_latest_is_ready(queue: Queue) -> None:
    names = [await queue.cards.keep(Card(REQUEST, replace(POEM, seed=seed))) for seed in (1, 2)]
    cards = [await queue.cards.find(name) for name in names]
    assert [card.poem.seed for card in cards if card is not None and card.poem is not None] == [1, 2]
    assert await queue.cards.ready([REQUEST, replace(REQUEST, text="明月")]) == [(names[1], cards[1]), None]


@pytest.mark.parametrize(
    "name", ["", "1-1", "d0", "1-", "-", "+", "9" * 30 + "-1.aaaaaaaa", "1-1.aaaaaaaa", "1-1.", "²-²", "1-1\n"]
)
async def test_a_name_that_was_never_given_finds_nothing(queue: Queue, name: str) -> None:
    await queue.cards.keep(Card(REQUEST, POEM))
    assert await queue.cards.find(name) is None


@pytest.mark.parametrize(
    "entry", [{"v": "2"}, {"body": "{}"}, {"body": "["}, {"body": '{"request":{"mode":"acrostic"}}'}]
)
async def test_a_card_of_another_version_or_none_is_not_there(
    queue: Queue, redis: Redis, prefix: str, entry: dict[str, str]
) -> None:
    name = await queue.cards.keep(Card(REQUEST, POEM))
    fields: Any = Card(REQUEST, POEM).fields() | {"k": "aaaaaaaa"} | entry
    odd: Any = await redis.xadd(f"{prefix}cards", fields)
    assert await queue.cards.find(name) is not None
    assert await queue.cards.find(f"{odd}.aaaaaaaa") is None


async def test_a_card_is_found_by_its_whole_name_alone(queue: Queue, redis: Redis, prefix: str) -> None:
    name = await queue.cards.keep(Card(REQUEST, POEM))
    entry, _, key = name.partition(".")
    other = ("A" if key[0] != "A" else "B") + key[1:]
    for guess in (entry, f"{entry}.", f"{entry}.{other}", f"{entry}.{key[:-1]}", f"{entry}.{key}x"):
        assert await queue.cards.find(guess) is None
    # One that an earlier version kept has no key, and so no name.
    fields: Any = Card(REQUEST, POEM).fields()
    old: Any = await redis.xadd(f"{prefix}cards", fields)
    assert await queue.cards.find(old) is None
    assert await queue.cards.find(f"{old}.") is None


async def test_a_poem_is_known_again_by_its_json(queue: Queue) -> None:
    await queue.cards.note_written(POEM)
    assert await queue.cards.was_written(POEM)
    assert not await queue.cards.was_written(replace(POEM, lines=("床前明月光", *LINES[1:])))


async def test_cards_are_never_more_than_the_limit(queue: Queue, redis: Redis, prefix: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cards, "MAX_CARDS", 100)
        for _ in range(500):
            await queue.cards.keep(Card(REQUEST, POEM))
    # The server lets go of a node of entries at a time.
    assert await redis.xlen(f"{prefix}cards") <= 200


async def test_a_poem_and_its_idempotency_key_take_little_memory(queue: Queue, redis: Redis, prefix: str) -> None:
    regulated = replace(POEM, text=f"{POEM.text}\n{POEM.text}", lines=LINES * 2, form="五律")
    for number in range(1000):
        await queue.cards.keep(Card(REQUEST, replace(regulated, seed=2**31 + number)))
    for update in range(100_000, 100_200):
        await queue.submit(Job(REQUEST, Chat(1, 2), "zh", 9e9), f"u{update}")
    assert (await redis.memory_usage(f"{prefix}cards", samples=0) or 0) / 1000 < 400
    accepted = await redis.keys(f"{prefix}guards:*")
    assert sum([await redis.memory_usage(key, samples=0) or 0 for key in accepted]) / 200 < 25


async def test_old_cards_go_as_others_come_and_all_of_them_when_none_come(
    queue: Queue, redis: Redis, prefix: str
) -> None:
    now = int(time.time())
    stale = [f"{(now - CARD_TTL_SECONDS - DAY_SECONDS) * 1000 + number}-0" for number in range(500)]
    fresh = [f"{(now - CARD_TTL_SECONDS + DAY_SECONDS) * 1000 + number}-0" for number in range(500)]
    for entry in (*stale, *fresh):
        await redis.xadd(f"{prefix}cards", {"v": "1", "body": "{}"}, id=entry)
    await queue.cards.keep(Card(REQUEST, POEM))
    entries: Any = await redis.xrange(f"{prefix}cards")
    left = {entry for entry, _ in entries}
    assert left.issuperset(fresh)
    # The server lets go of a node of entries at a time.
    assert len(left.intersection(stale)) <= 100
    assert CARD_TTL_SECONDS - 60 < await redis.ttl(f"{prefix}cards") <= CARD_TTL_SECONDS
