"""Progress on the terminal: a bar with loss, speed and time left; validations and samples above it."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

from train.fit.progress import Progress

LINE_SECONDS = 30.0
"""Seconds between lines if stderr is not a terminal, where a bar would fill the log."""


class ProgressBar:
    """Shown on stderr until it is closed."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=100.0,
            bar_format="{percentage:5.1f}% |{bar:20}| {postfix}",
            disable=not self._terminal,
            file=sys.stderr,
        )
        self._last_line = -LINE_SECONDS

    def close(self) -> None:
        self._bar.close()

    def show(self, progress: Progress) -> None:
        if progress.event == "validation" and progress.validation is not None:
            self._bar.write(f"epoch {progress.epoch:.2f}: validation perplexity {progress.validation:.2f}", sys.stderr)
        if progress.event == "sample":
            self._bar.write(progress.sample, sys.stderr)
        if self._terminal:
            self._bar.set_postfix_str(_status_line(progress), refresh=False)
            self._bar.update(100 * progress.part - self._bar.n)
        elif time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            print(f"{progress.part:6.1%}  {_status_line(progress)}", file=sys.stderr, flush=True)


def _status_line(progress: Progress) -> str:
    held_out = f", held out {progress.validation:.1f}" if progress.validation is not None else ""
    return (
        f"epoch {progress.epoch:.2f}, step {progress.step}, loss {progress.loss:.3f}{held_out}, "
        f"{progress.tokens_per_second:,.0f} tokens/s, {_duration(progress.seconds_left)} left"
    )


def _duration(seconds: float) -> str:
    if seconds != seconds:  # not known yet
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
