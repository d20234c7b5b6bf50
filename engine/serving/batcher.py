"""One thread that keeps a poet writing: requests join at its next step, poems leave when they are done."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from engine.contract import Poem, PoemRequest
from engine.contract.check import CheckRequest, Examination


class PoemHandle(Protocol):
    """A poem in the making, by identity."""

    @property
    def characters(self) -> int:
        """How many characters were fed to the model for it so far."""
        ...


class PoetLike(Protocol):
    """Writes poems step by step; blocks while it does. It is used by one thread."""

    def add(self, request: PoemRequest) -> PoemHandle:
        """Begin a poem with the next step. PoemError: the request cannot be served."""
        ...

    def step(self) -> Iterable[tuple[PoemHandle, Poem]]:
        """Go one step on with all that was added; what is finished. Whatever it raises has lost all in hand."""
        ...

    def examine(self, request: CheckRequest) -> Examination:
        """Examine a finished poem; thread-safe. PoemError: the text holds no poem."""
        ...


@dataclass(frozen=True)
class Written:
    """``characters``: fed to the model; ``together``: poems in hand while this one was finished."""

    poem: Poem
    characters: int
    together: int


Answer = asyncio.Future[Written]


@dataclass
class _InFlight:
    """What one poet is writing."""

    poet: PoetLike
    answers: dict[PoemHandle, Answer] = field(default_factory=dict)

    def take(self, request: PoemRequest, answer: Answer) -> None:
        try:
            self.answers[self.poet.add(request)] = answer
        except Exception as error:  # a refusal, or a bug: either way this request's own
            _fail(answer, error)

    def step(self) -> None:
        try:
            finished = list(self.poet.step())
        except Exception as error:
            lost, self.answers = list(self.answers.values()), {}
            for answer in lost:
                _fail(answer, error)
            return
        together = len(self.answers)
        for handle, poem in finished:
            _deliver(self.answers.pop(handle), Written(poem, handle.characters, together))


class Batcher:
    """``poet`` may be exchanged at any time: poems that are begun are finished by the poet that began them."""

    def __init__(self, poet: PoetLike) -> None:
        self.poet = poet
        self._asked: deque[tuple[PoetLike, PoemRequest, Answer]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        # A daemon: a program that ends does not wait for poems that it has given up.
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def write(self, request: PoemRequest) -> Written:
        """PoemError: the request cannot be served. Anything else: a failure, of this request or one beside it."""
        answer: Answer = asyncio.get_running_loop().create_future()
        with self._changed:
            self._asked.append((self.poet, request, answer))
            self._changed.notify()
        return await answer

    def close(self) -> None:
        """Begin nothing more; the thread ends after the step that it is in."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        hands: list[_InFlight] = []
        while True:
            with self._changed:
                while not (self._asked or hands or self._closed):
                    self._changed.wait()
                if self._closed:
                    return
                asked = list(self._asked)
                self._asked.clear()
            for poet, request, answer in asked:
                if not hands or hands[-1].poet is not poet:
                    hands.append(_InFlight(poet))
                hands[-1].take(request, answer)
            for hand in hands:
                if hand.answers:
                    hand.step()
            hands = [hand for hand in hands if hand.answers]


def _deliver(answer: Answer, written: Written) -> None:
    _settle(answer, lambda: answer.set_result(written))


def _fail(answer: Answer, error: Exception) -> None:
    _settle(answer, lambda: answer.set_exception(error))


def _settle(answer: Answer, settle: Callable[[], None]) -> None:
    """Hand over to the loop that waits; nobody may be waiting any more, and the loop may be gone."""
    with contextlib.suppress(RuntimeError):
        answer.get_loop().call_soon_threadsafe(lambda: None if answer.done() else settle())
