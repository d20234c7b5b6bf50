"""The metrics of one bot process, for Prometheus. With several bots, sum them."""

from __future__ import annotations

import math
from collections import Counter as CollectionsCounter
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from engine.contract import Poem
from engine.contract.codec import unreadable
from engine.contract.queue.messages import Reply
from engine.contract.queue.models import Serving
from engine.contract.queue.training import FINAL_PHASES, Training
from engine.contract.queue.workers import Status

SECONDS_BUCKETS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64)
_COUNTERS = {
    "poem_updates_total": ("Updates from Telegram, by kind.", ["kind"]),
    "poem_requests_total": ("Requests for poems, by where they came from (door) and outcome.", ["door", "outcome"]),
    "poem_messages_total": ("Messages to Telegram, by outcome.", ["outcome"]),
    "poem_telegram_errors_total": ("Errors from Telegram, by kind.", ["kind"]),
}


@dataclass(frozen=True)
class ClusterState:
    """The state of queue, workers and training. ``status`` None: Redis does not answer; ``writes``: it accepts writes;
    ``skew``: seconds that this machine's clock is ahead of Redis'."""

    status: Status | None = None
    serving: Mapping[str, Serving] = field(default_factory=dict)
    training: Training | None = None
    writes: bool = True
    skew: float = 0.0


class Metrics:
    """Counters, and histograms of what workers measured. Label values never contain user input."""

    def __init__(self) -> None:
        self._new_counts: CollectionsCounter[str] = CollectionsCounter()
        self._registry = registry = CollectorRegistry()
        self._counters = {name: Counter(name, *arguments, registry=registry) for name, arguments in _COUNTERS.items()}

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, buckets=buckets, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self._waited = histogram("poem_queue_seconds", "Seconds a job waited for a worker.", SECONDS_BUCKETS)
        self._wrote = histogram("poem_writing_seconds", "Seconds a worker took to write the poem.", SECONDS_BUCKETS)
        self._together = histogram(
            "poem_batch_poems", "Poems in flight when one was finished, including itself.", SIZE_BUCKETS
        )
        self._candidates = histogram("poem_candidates", "Candidates each poem was chosen from.", SIZE_BUCKETS)
        self._characters = Counter(
            "poem_characters_total", "Characters fed to the model, for all candidates.", registry=registry
        )
        self._redis_up = gauge("poem_redis_up", "Whether Redis answers and accepts writes.")
        self._skew = gauge("poem_clock_skew_seconds", "Seconds a clock is ahead of Redis'; of workers the worst.", "of")
        self._jobs = gauge("poem_queue_jobs", "Jobs not yet finished.")
        self._dead = gauge("poem_dead_jobs", "Dead letters: jobs and replies for `engine dead`.")
        self._unreadable = gauge("poem_unreadable", "Values this bot could not read and skipped.", "kind")
        self._workers = gauge("poem_workers", "Workers alive.")
        self._wait = gauge("poem_wait_seconds", "Expected seconds until one more poem would be written.")
        self._serving = gauge("poem_model_workers", "Workers serving a model version.", "version")
        self._training = gauge("poem_training_progress_ratio", "Finished fraction of the current training; 0 if none.")

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter of ``_COUNTERS``; ``labels``: all of its labels."""
        self._counters[name].labels(**labels).inc()
        self._new_counts[":".join((name, *(labels[label] for label in _COUNTERS[name][1])))] += 1

    def observe_work(self, reply: Reply) -> None:
        """Record how long a poem waited and was written, if its worker measured that."""
        if reply.work is None:
            return
        self._waited.observe(reply.work.waited)
        self._wrote.observe(reply.work.wrote)
        self._new_counts[f"poem_queue_seconds:{_bucket(reply.work.waited):g}"] += 1
        self._new_counts[f"poem_writing_seconds:{_bucket(reply.work.wrote):g}"] += 1
        self._together.observe(reply.work.together)
        self._characters.inc(reply.work.characters)
        if isinstance(reply.content, Poem):
            self._candidates.observe(reply.content.candidates)

    def take_counts(self) -> dict[str, int]:
        """The counts since the last call, by metric and label values (``poem_updates_total:help``). Durations are
        counted by the upper bound of their histogram bucket (``poem_queue_seconds:0.2``)."""
        counts, self._new_counts = self._new_counts, CollectionsCounter()
        return counts

    def text(self, cluster_state: ClusterState) -> bytes:
        """All metrics in the Prometheus text format."""
        status, training = cluster_state.status, cluster_state.training
        self._redis_up.set(status is not None and cluster_state.writes)
        self._skew.labels("bot").set(cluster_state.skew if status else math.nan)
        self._skew.labels("worker").set(status.skew if status else math.nan)
        self._jobs.set(status.waiting if status else math.nan)
        self._dead.set(status.dead if status else math.nan)
        for kind, number in unreadable.items():
            self._unreadable.labels(kind).set(number)
        self._workers.set(status.workers if status else math.nan)
        self._wait.set(status.wait_seconds if status else math.nan)
        in_progress = training is not None and training.report.phase not in FINAL_PHASES
        self._training.set(training.report.part if training is not None and in_progress else 0)
        self._serving.clear()
        for serving in cluster_state.serving.values():
            self._serving.labels(serving.version).inc()
        return generate_latest(self._registry)


def _bucket(seconds: float) -> float:
    """The upper bound of the bucket that ``seconds`` falls into."""
    return next((bound for bound in SECONDS_BUCKETS if seconds <= bound), math.inf)
