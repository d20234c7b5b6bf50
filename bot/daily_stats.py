"""``/stats``: the day in a few lines. Bots add what they counted to a daily_counts in Redis that outlives them."""

from __future__ import annotations

import asyncio
import contextlib
import html
import re
from collections import Counter
from collections.abc import Mapping

from redis.exceptions import RedisError

from bot.metrics import Metrics
from bot.views.messages import Language, in_script
from engine.contract.poem import MODES
from engine.contract.queue.daily_counts import DailyCounts
from engine.contract.queue.retry import sleep_unless
from engine.contract.queue.store import Queue, Status

FLUSH_SECONDS = 5.0
"""Seconds between two additions to the daily_counts; what a killed bot had not added yet is lost."""
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ANSWERED = ("accepted", "poem")


async def record_daily_counts(metrics: Metrics, daily_counts: DailyCounts, stopping: asyncio.Event) -> None:
    """Add what this bot counts to the daily_counts until ``stopping``, and once more then."""
    waiting: Counter[str] = Counter()
    while True:
        ending = stopping.is_set()
        waiting.update(metrics.news())
        with contextlib.suppress(RedisError):
            await daily_counts.add(waiting)
            waiting.clear()
        if ending:
            return
        await sleep_unless(stopping, FLUSH_SECONDS)


async def stats(queue: Queue, language: Language) -> str:
    """Today by the clock of UTC; Telegram HTML."""
    today, status = await queue.daily_counts.today(), await queue.status()
    serving = Counter(each.version for each in (await queue.models.serving()).values())
    return describe(today, status, serving, language)


def describe(today: Mapping[str, int], status: Status, serving: Mapping[str, int], language: Language) -> str:
    modes = {mode: of(today, "poem_updates_total", kind=mode) for mode in MODES}
    web = of(today, "poem_requests_total", door="http", outcome="poem")
    refused = Counter[str]()
    for name, number in today.items():
        labels = _labels(name)
        if name.startswith("poem_requests_total") and labels.get("outcome") not in _ANSWERED:
            refused[labels.get("outcome", "")] += number
    errors = Counter[str]()
    for name, number in today.items():
        if name.startswith("poem_telegram_errors_total"):
            errors[_labels(name).get("kind", "")] += number
    waits = " · ".join(_seconds(percentile(today, "poem_queue_seconds", part)) for part in (0.5, 0.95))
    writes = " · ".join(_seconds(percentile(today, "poem_writing_seconds", part)) for part in (0.5, 0.95))
    models = (
        ", ".join(f"<code>{html.escape(version)}</code> × {number}" for version, number in sorted(serving.items()))
        or "–"
    )
    zh = [
        f"今日：命题 {modes['theme']}，续写 {modes['continue']}，藏头 {modes['acrostic']}，网页 {web}",
        f"婉拒：{_list(refused)}",
        f"排队 p50 · p95：{waits}；写作 p50 · p95：{writes}",
        f"队列 {status.waiting}，写诗进程 {status.workers}，模型 {models}",
        f"Telegram 出错：{_list(errors)}",
    ]
    en = [
        f"Today: on a theme {modes['theme']}, continued {modes['continue']}, acrostics {modes['acrostic']}, "
        f"over HTTP {web}",
        f"Refused: {_list(refused)}",
        f"Queue p50 · p95: {waits}; writing p50 · p95: {writes}",
        f"{status.waiting} in the queue, {status.workers} worker{'s' * (status.workers != 1)}, model {models}",
        f"Telegram errors: {_list(errors)}",
    ]
    return "\n".join(en) if language == "en" else in_script("\n".join(zh), language)


def of(today: Mapping[str, int], metric: str, **labels: str) -> int:
    """The sum over a metric's samples that carry ``labels``."""
    return sum(
        number
        for name, number in today.items()
        if name.partition("{")[0] == metric and labels.items() <= _labels(name).items()
    )


def percentile(today: Mapping[str, int], histogram: str, part: float) -> float | None:
    """The bound of the bucket in which that part of the observations is reached; None without any."""
    start = f"{histogram}_bucket"
    buckets = sorted(
        (float(_labels(name)["le"]), number) for name, number in today.items() if name.partition("{")[0] == start
    )
    if not buckets:
        return None
    return next(bound for bound, reached in buckets if reached >= part * buckets[-1][1])


def _labels(name: str) -> dict[str, str]:
    return dict(_LABEL.findall(name))


def _seconds(bound: float | None) -> str:
    return "–" if bound is None else f"≤ {bound:g} s" if bound != float("inf") else "&gt; 60 s"


def _list(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in Counter(counted).most_common()) or "–"
