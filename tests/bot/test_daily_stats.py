"""``/stats``."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from bot.daily_stats import record_daily_counts
from bot.metrics import Metrics
from bot.views.daily_stats import percentile, stats_html
from engine.contract import Poem
from engine.contract.queue.messages import Chat, Reply, WorkDone
from engine.contract.queue.store import Queue
from engine.contract.queue.workers import Status

POEM = Poem("acrostic", "春", ("春",), "五绝", 1, 4, "fake")


def written(metrics: Metrics, *seconds: float) -> None:
    for each in seconds:
        metrics.observe_work(Reply(Chat(1), "en", POEM, work=WorkDone(each, each, 1, 10)))


async def test_what_several_bots_counted_adds_up_and_outlives_them(queue: Queue, redis: Redis, prefix: str) -> None:
    for _ in range(2):
        metrics, stopping = Metrics(), asyncio.Event()
        metrics.count("poem_updates_total", kind="acrostic")
        written(metrics, 0.15)
        keeping = asyncio.create_task(record_daily_counts(metrics, queue.daily_counts, stopping))
        metrics.count("poem_updates_total", kind="acrostic")
        stopping.set()
        await keeping
    today = await queue.daily_counts.today()
    assert today["poem_updates_total:acrostic"] == 4
    assert percentile(today, "poem_queue_seconds", 0.5) == 0.2
    [key] = [key async for key in redis.scan_iter(f"{prefix}tally:*")]
    assert await redis.ttl(key) > 7 * 86_400


def test_percentiles_are_bounds_of_the_bucket_that_reaches_them() -> None:
    metrics = Metrics()
    assert percentile(metrics.take_counts(), "poem_queue_seconds", 0.5) is None
    written(metrics, *[0.04] * 18, 1.5, 100)
    today = metrics.take_counts()
    assert percentile(today, "poem_queue_seconds", 0.5) == 0.05
    assert percentile(today, "poem_queue_seconds", 0.95) == 2
    assert percentile(today, "poem_queue_seconds", 0.99) == float("inf")


def test_the_day_reads_well_in_three_languages_and_escapes_names() -> None:
    metrics = Metrics()
    metrics.count("poem_updates_total", kind="continue")
    metrics.count("poem_requests_total", door="telegram", outcome="rate_limited")
    metrics.count("poem_requests_total", door="telegram", outcome="accepted")
    metrics.count("poem_telegram_errors_total", kind="Forbidden")
    today, status = metrics.take_counts(), Status(3, 2, 1)
    english = stats_html(today, status, {"<b>": 2}, "en")
    assert "continued 1" in english
    assert "Refused: rate_limited 1\n" in english
    assert "Forbidden 1" in english
    assert "<code>&lt;b&gt;</code> × 2" in english
    assert "续写 1" in stats_html(today, status, {}, "zh-hans")
    assert "續寫 1" in stats_html(today, status, {}, "zh-hant")
