"""The text of ``/stats``. Its numbers are those of ``bot.metrics.Metrics.take_counts``, added up over the day."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate

from bot.views.messages import Language, escape, pick
from engine.contract.queue.workers import Status

_ANSWERED = ("accepted", "poem")


def stats_html(today: Mapping[str, int], status: Status, serving: Mapping[str, int], language: Language) -> str:
    """Telegram HTML. ``serving``: how many workers serve each model version."""
    updates = Counter({kind: number for (kind,), number in _labelled(today, "poem_updates_total")})
    requests = list(_labelled(today, "poem_requests_total"))
    web = sum(number for labels, number in requests if labels == ["http", "poem"])
    refused = Counter[str]()
    for (_, outcome), number in requests:
        if outcome not in _ANSWERED:
            refused[outcome] += number
    errors = {kind: number for (kind,), number in _labelled(today, "poem_telegram_errors_total")}
    waits, writes = (
        " · ".join(_format_bound(percentile(today, histogram, fraction)) for fraction in (0.5, 0.95))
        for histogram in ("poem_queue_seconds", "poem_writing_seconds")
    )
    models = ", ".join(f"<code>{escape(version)}</code> × {number}" for version, number in sorted(serving.items()))
    workers = f"{status.workers} worker{'s' * (status.workers != 1)}"
    theme, continued, acrostic = (updates[mode] for mode in ("theme", "continue", "acrostic"))
    return pick(
        (
            f"今日：命题 {theme}，续写 {continued}，藏头 {acrostic}，网页 {web}\n"
            f"婉拒：{_format_counts(refused)}\n"
            f"排队 p50 · p95：{waits}；写作 p50 · p95：{writes}\n"
            f"队列 {status.waiting}，写诗进程 {status.workers}，模型 {models or '–'}\n"
            f"Telegram 出错：{_format_counts(errors)}",
            f"Today: on a theme {theme}, continued {continued}, acrostics {acrostic}, over HTTP {web}\n"
            f"Refused: {_format_counts(refused)}\n"
            f"Queue p50 · p95: {waits}; writing p50 · p95: {writes}\n"
            f"{status.waiting} in the queue, {workers}, model {models or '–'}\n"
            f"Telegram errors: {_format_counts(errors)}",
        ),
        language,
    )


def percentile(today: Mapping[str, int], histogram: str, fraction: float) -> float | None:
    """The upper bound of the bucket in which this fraction of them is reached; None without observations."""
    buckets = sorted((float(bound), number) for (bound,), number in _labelled(today, histogram))
    reached = list(accumulate(number for _, number in buckets))
    return next(
        (bound for (bound, _), total in zip(buckets, reached, strict=True) if total >= fraction * reached[-1]), None
    )


def _labelled(today: Mapping[str, int], metric: str) -> Iterator[tuple[list[str], int]]:
    """The label values and the number of each count of a metric."""
    for key, number in today.items():
        name, *labels = key.split(":")
        if name == metric:
            yield labels, number


def _format_bound(bound: float | None) -> str:
    return "–" if bound is None else f"≤ {bound:g} s" if bound != math.inf else "&gt; 60 s"


def _format_counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in Counter(counted).most_common()) or "–"
