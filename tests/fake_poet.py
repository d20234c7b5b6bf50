"""A poet without a model. As a program it is a worker with that poet: ``python -m tests.fake_poet [SECONDS]``.

Some words make trouble: 杀 kills the process that writes it, 错 is a bug, 拒 is refused.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from engine.contract import Poem, PoemError, PoemRequest, outline
from engine.contract.settings import Settings
from engine.worker import main

KILLS, BUG, REFUSED = "杀", "错", "拒"


class FakePoet:
    """Fills every line with 山 after what was given. ``batches``: what was written together, in order."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[str]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._seconds = seconds

    def write_each(self, requests: Sequence[PoemRequest]) -> list[Poem | PoemError]:
        self.batches.append([request.text for request in requests])
        self.may_go_on.wait(30)
        time.sleep(self._seconds)
        texts = "".join(request.text for request in requests)
        if BUG in texts:
            raise RuntimeError("a bug")
        if KILLS in texts:
            os.kill(os.getpid(), signal.SIGKILL)
        return [self._write(request) for request in requests]

    def _write(self, request: PoemRequest) -> Poem | PoemError:
        if REFUSED in request.text:
            return PoemError("refused", "不写。", "No.")
        shape = outline(request)
        length, count = shape.line_length or 7, shape.lines or 4
        given = (*shape.given, *[""] * (count - len(shape.given)))
        lines = tuple(f"{head}{'山' * (length - len(head))}" for head in given)
        marks = ["，" if i % 2 == 0 else "。\n" for i in range(count)]
        text = "".join(line + mark for line, mark in zip(lines, marks, strict=True)).strip()
        return Poem(
            request.mode, text, lines, shape.form, request.seed or 1, 1, "fake", shape.rhyme, None, request.mood
        )


if __name__ == "__main__":
    poet = FakePoet(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0)
    sys.exit(main(lambda: poet, Settings.read(os.environ, Path("no.env"))))
