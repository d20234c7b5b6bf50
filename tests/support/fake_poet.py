"""A stub of the poet, without a model. ``python -m tests.support.fake_poet [SECONDS]`` is a worker with it.

Some characters cause faults: 杀 kills the process that writes it, 错 raises an exception, 拒 is refused.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from engine.contract import Poem, PoemError, PoemRequest, outline
from engine.contract.check import CheckRequest, Examination
from engine.contract.script import Script
from engine.contract.settings import Settings
from engine.generation.poet import RELEASED, read_prosody
from engine.prosody import Prosody
from engine.prosody.check import examine_lines
from engine.serving.worker import main

KILLS, BUG, REFUSED = "杀", "错", "拒"


@dataclass(eq=False)
class FakeHandle:
    request: PoemRequest
    characters: int = 0


class FakePoet:
    """Fills every line after the given characters with 山, and finishes everything in flight in one step.

    ``batches``: the texts written together, in order. ``seconds``: duration of a step.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[str]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._seconds = seconds
        self._in_flight: list[FakeHandle] = []

    def add(self, request: PoemRequest) -> FakeHandle:
        if REFUSED in request.text:
            raise PoemError("refused", "不写。", "No.")
        handle = FakeHandle(request)
        self._in_flight.append(handle)
        return handle

    def step(self) -> list[tuple[FakeHandle, Poem]]:
        handles, self._in_flight = self._in_flight, []
        self.batches.append([handle.request.text for handle in handles])
        self.may_go_on.wait(30)
        time.sleep(self._seconds)
        texts = "".join(handle.request.text for handle in handles)
        if BUG in texts:
            raise RuntimeError("a bug")
        if KILLS in texts:
            os.kill(os.getpid(), signal.SIGKILL)
        return [(handle, self._write(handle)) for handle in handles]

    def examine(self, request: CheckRequest) -> Examination:
        return examine_lines(request.lines(), _prosody(), Script())

    def _write(self, handle: FakeHandle) -> Poem:
        request = handle.request
        shape = outline(request)
        length, count = shape.line_length or 7, shape.lines or 4
        given = (*shape.given, *[""] * (count - len(shape.given)))
        lines = tuple(f"{head}{'山' * (length - len(head))}" for head in given)
        marks = ["，" if i % 2 == 0 else "。\n" for i in range(count)]
        text = "".join(line + mark for line, mark in zip(lines, marks, strict=True)).strip()
        handle.characters = len(text)
        return Poem(
            request.mode, text, lines, shape.form, request.seed or 1, 1, "fake", shape.rhyme, None, request.mood
        )


class StepByStepPoet(FakePoet):
    """Every poem takes the given number of steps; the last but one waits for ``may_go_on``."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.may_go_on.clear()
        self.taken = 0
        self._left: dict[FakeHandle, int] = {}
        self._steps = steps

    @property
    def in_flight(self) -> int:
        return len(self._left)

    def add(self, request: PoemRequest) -> FakeHandle:
        handle = super().add(request)
        self._left[handle] = self._steps
        return handle

    def step(self) -> list[tuple[FakeHandle, Poem]]:
        self.taken += 1
        if 2 in self._left.values() and not self.may_go_on.is_set():
            time.sleep(0.01)
            return []
        self._left = {handle: left - 1 for handle, left in self._left.items()}
        done = [handle for handle, left in self._left.items() if not left]
        for handle in done:
            del self._left[handle]
        try:
            return [(handle, self._write(handle)) for handle in done]
        except Exception:
            self._left.clear()  # all in flight are lost, as the worker expects after an exception
            raise


@functools.cache
def _prosody() -> Prosody:
    return read_prosody(RELEASED)


if __name__ == "__main__":
    poet = FakePoet(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0)
    sys.exit(main(lambda: poet, Settings.read(os.environ, Path("no.env"))))
