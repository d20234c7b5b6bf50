"""A run on the terminal: a bar with loss, speed and time left; validations and samples above it."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from train.watch import Progress


class Bar:
    """On stderr. Where that is no terminal, a line every half minute."""

    def __init__(self) -> None:
        terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=100.0,
            bar_format="{percentage:5.1f}% |{bar:20}| {postfix}" if terminal else "{percentage:5.1f}% {postfix}",
            mininterval=0.5 if terminal else 30,
            file=sys.stderr,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def show(self, progress: Progress) -> None:
        if progress.event == "validation" and progress.validation is not None:
            self._bar.write(f"epoch {progress.epoch:.2f}: validation perplexity {progress.validation:.2f}", sys.stderr)
        if progress.event == "sample":
            self._bar.write(progress.sample, sys.stderr)
        held_out = f", held out {progress.validation:.1f}" if progress.validation is not None else ""
        self._bar.set_postfix_str(
            f"epoch {progress.epoch:.2f}, step {progress.step}, loss {progress.loss:.3f}{held_out}, "
            f"{progress.tokens_per_second:,.0f} tokens/s, {_spelt(progress.seconds_left)} left",
            refresh=False,
        )
        self._bar.update(100 * progress.part - self._bar.n)


def _spelt(seconds: float) -> str:
    if seconds != seconds:  # not known yet
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
