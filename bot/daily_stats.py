"""``/stats``: what happened today. Bots add their counts to a hash in Redis, so the numbers survive their restarts."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

from redis.exceptions import RedisError

from bot.metrics import Metrics
from bot.views.daily_stats import stats_html
from bot.views.messages import Language
from engine.contract.queue.daily_counts import DailyCounts
from engine.contract.queue.retry import sleep_unless
from engine.contract.queue.store import Queue

FLUSH_SECONDS = 5.0
"""Interval between additions to the daily counts; a bot that is killed loses the counts since its last one."""


async def record_daily_counts(metrics: Metrics, daily_counts: DailyCounts, stopping: asyncio.Event) -> None:
    """Add this bot's counts to the daily counts until ``stopping`` is set, and a last time then."""
    waiting: Counter[str] = Counter()
    while True:
        ending = stopping.is_set()
        waiting.update(metrics.take_counts())
        with contextlib.suppress(RedisError):
            await daily_counts.add(waiting)
            waiting.clear()
        if ending:
            return
        await sleep_unless(stopping, FLUSH_SECONDS)


async def stats(queue: Queue, language: Language) -> str:
    """Today in UTC, as Telegram HTML."""
    today, status = await queue.daily_counts.today(), await queue.status()
    serving = Counter(each.version for each in (await queue.models.serving()).values())
    return stats_html(today, status, serving, language)
