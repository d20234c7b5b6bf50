"""Limits count what a poem costs, and no caller fills the queue alone."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from redis.asyncio import Redis

from bot.http.fair_share import FairShare
from bot.standalone.redis_server import RedisServer
from bot.submission import cost_of
from engine.contract import PoemRequest
from engine.contract.queue.acceptance import Limits
from engine.contract.queue.messages import Chat, Job
from engine.contract.queue.store import Queue
from tests.support.fake_poet import FakePoet
from tests.support.running import running_bot, running_worker
from tests.support.waiting import until_waiting

LINE = "老夫聊发少年狂"
MANY = FairShare().__dict__["_share"]


@pytest.mark.parametrize(
    ("request_", "cost"),
    [
        (PoemRequest("acrostic", "春"), 1),
        (PoemRequest("continue", LINE), 1),
        (PoemRequest("continue", "床前明月光", "五绝", candidates=1), 1),
        (PoemRequest("continue", LINE, "七律", candidates=64), 8),
        (PoemRequest("continue", LINE, "七律", seed=7), 8),  # the full number of candidates, however busy the worker is
        (PoemRequest("continue", LINE, "七律", seed=7, candidates=1), 1),
        (PoemRequest("continue", LINE, "排律", lines=24), 3),
        (PoemRequest("continue", LINE, "排律", lines=24, candidates=64), 24),
    ],
)
def test_a_poem_costs_its_characters_times_its_candidates(request_: PoemRequest, cost: int) -> None:
    assert cost_of(request_) == cost


async def test_who_spends_more_than_the_limit_at_once_waits_longer(queue: Queue, redis: Redis, prefix: str) -> None:
    limits = Limits(6, 200)
    job = Job(PoemRequest("acrostic", "春"), Chat(1, 2), "zh", 9e9)
    dear = await queue.submit(job, "u100001", "tg:1", limits, cost=28)
    assert dear.kind == "accepted"
    verdict = await queue.submit(job, "u100002", "tg:1", limits)
    # It costs 28 usual poems, as many as 280 seconds allow at six per minute.
    assert (verdict.kind, 270 < verdict.wait <= 280) == ("limited", True)
    for number in range(6):
        assert (await queue.submit(job, f"u20000{number}", "tg:2", limits)).kind == "accepted"
    verdict = await queue.submit(job, "u200006", "tg:2", limits)
    assert (verdict.kind, 0 < verdict.wait <= 60) == ("limited", True)


async def test_a_dear_poem_is_charged_as_many_usual_ones(
    server: RedisServer, redis: Redis, prefix: str, queue: Queue
) -> None:
    dear = {"mode": "continue", "text": "老夫聊发少年狂", "form": "排律", "candidates": 64, "lines": 24}
    async with (
        running_worker(redis, prefix, FakePoet()),
        running_bot(server.url, prefix, TRUSTED_PROXIES="127.0.0.1", USER_PER_MINUTE="6") as where,
        aiohttp.ClientSession(headers={"X-Forwarded-For": "203.0.113.1"}) as http,
    ):
        statuses = []
        for body in (dear, {"mode": "acrostic", "text": "春"}):
            async with http.post(f"{where}/api/poems", json=body) as answer:
                statuses.append(answer.status)
        assert statuses == [200, 429]
        assert int(answer.headers["Retry-After"]) > 60


async def test_a_caller_has_no_more_than_its_share_in_the_queue_and_loses_nothing(
    server: RedisServer, queue: Queue, redis: Redis, prefix: str
) -> None:
    poet = FakePoet()
    poet.may_go_on.clear()
    async with (
        running_worker(redis, prefix, poet),
        running_bot(server.url, prefix, TRUSTED_PROXIES="127.0.0.1") as where,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):

        async def ask(caller: str) -> int:
            headers = {"X-Forwarded-For": caller}
            async with http.post(
                f"{where}/api/poems", json={"mode": "acrostic", "text": "春"}, headers=headers
            ) as answer:
                return answer.status

        greedy = [asyncio.create_task(ask("203.0.113.1")) for _ in range(MANY + 20)]
        await until_waiting(queue, MANY)
        other = asyncio.create_task(ask("203.0.113.2"))
        await until_waiting(queue, MANY + 1)
        poet.may_go_on.set()
        assert await asyncio.gather(other, *greedy) == [200] * (MANY + 21)


async def test_a_caller_whose_requests_wait_already_is_turned_away_and_another_is_not(
    server: RedisServer, queue: Queue, redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.http.fair_share.MAX_OPEN", 3)
    poet, asked = FakePoet(), {"mode": "acrostic", "text": "春"}
    poet.may_go_on.clear()
    async with (
        running_worker(redis, prefix, poet),
        running_bot(server.url, prefix, TRUSTED_PROXIES="127.0.0.1") as where,
        aiohttp.ClientSession() as http,
    ):

        async def ask(caller: str) -> tuple[int, str | None]:
            headers = {"X-Forwarded-For": caller}
            async with http.post(f"{where}/api/poems", json=asked, headers=headers) as answer:
                return answer.status, answer.headers.get("Retry-After")

        three = [asyncio.create_task(ask("203.0.113.1")) for _ in range(3)]
        await until_waiting(queue, 3)
        assert await ask("203.0.113.1") == (429, "60")
        other = asyncio.create_task(ask("203.0.113.2"))
        local = [asyncio.create_task(ask("127.0.0.1")) for _ in range(4)]
        await until_waiting(queue, 8)
        poet.may_go_on.set()
        assert {status for status, _ in await asyncio.gather(other, *three, *local)} == {200}


async def test_turns_come_in_the_order_of_asking_whatever_they_cost_and_who_goes_away_keeps_none() -> None:
    shares, order = FairShare(4), []

    async def one(name: str, cost: int, gate: asyncio.Event) -> None:
        async with shares.turn("a", cost):
            order.append(name)
            await gate.wait()

    gate, never = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(one("first", 3, gate))
    dear = asyncio.create_task(one("dear", 99, never))
    left = asyncio.create_task(one("left", 1, never))
    last = asyncio.create_task(one("last", 1, gate))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["first"]
    left.cancel()
    gate.set()
    await first
    await asyncio.sleep(0.01)
    assert order == ["first", "dear"]
    dear.cancel()
    await last
    assert order == ["first", "dear", "last"]
    await asyncio.gather(dear, left, return_exceptions=True)
    assert shares.__dict__["_lanes"] == {}
