"""Counters in the Prometheus text format."""

from __future__ import annotations

from collections import Counter

from engine.contract.queue import Status

_HELP = {
    "poem_updates_total": "Updates read from Telegram, by kind.",
    "poem_requests_total": "Requests for a poem, by door and what became of them.",
    "poem_messages_total": "Messages to Telegram, by what became of them.",
}


class Metrics:
    """Counts of one bot process."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()

    def count(self, name: str, **labels: str) -> None:
        """``labels`` come from the program, never from what a person typed."""
        self._counts[name, tuple(sorted(labels.items()))] += 1

    def page(self, status: Status | None) -> str:
        """``status`` None: Redis does not answer."""
        lines = []
        for metric, text in _HELP.items():
            lines += [f"# HELP {metric} {text}", f"# TYPE {metric} counter"]
            for (name, labels), value in sorted(self._counts.items()):
                if name == metric:
                    inside = ",".join(f'{key}="{label}"' for key, label in labels)
                    lines.append(f"{name}{{{inside}}} {value}")
        gauges = {"poem_redis_up": (0 if status is None else 1, "Whether Redis answers.")}
        if status is not None:
            gauges["poem_queue_jobs"] = (status.waiting, "Jobs not yet finished.")
            gauges["poem_workers"] = (status.workers, "Workers alive.")
            gauges["poem_wait_seconds"] = (status.wait_seconds, "Expected seconds until one more poem is written.")
        for metric, (number, text) in gauges.items():
            lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge", f"{metric} {number}"]
        return "\n".join(lines) + "\n"
