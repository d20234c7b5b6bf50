"""Continuous batching: one thread steps a poet; requests join at the next step, poems leave when finished."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from engine.contract import Poem, PoemRequest
from engine.contract.check import CheckRequest, Examination
from engine.contract.logs import origin

T = TypeVar("T")


class PoemHandle(Protocol):
    """Identifies a poem in progress."""

    @property
    def characters(self) -> int:
        """How many characters have been fed to the model for it so far."""


class PoetLike(Protocol):
    """Writes poems step by step, blocking. Used by one thread at a time."""

    def add(self, request: PoemRequest) -> PoemHandle:
        """Start a poem at the next step. PoemError: the request cannot be served."""

    def step(self) -> Iterable[tuple[PoemHandle, Poem]]:
        """Advance all poems by one step; returns the finished ones. If it raises, all in-flight poems are lost."""

    def examine(self, request: CheckRequest) -> Examination:
        """Examine a finished poem; thread-safe. PoemError: the text holds no poem."""


@dataclass(frozen=True)
class Written:
    """``characters``: fed to the model; ``together``: poems in flight when this one was finished."""

    poem: Poem
    characters: int
    together: int


PoemFuture = asyncio.Future[Written]


@dataclass
class _InFlight:
    """The poems that one poet is writing."""

    poet: PoetLike
    answers: dict[PoemHandle, PoemFuture] = field(default_factory=dict)

    def take(self, request: PoemRequest, answer: PoemFuture) -> None:
        try:
            self.answers[self.poet.add(request)] = answer
        except Exception as error:  # a refusal or a bug; either way it concerns only this request
            _fail(answer, error)

    def step(self) -> None:
        try:
            finished = list(self.poet.step())
        except Exception as error:
            self.fail(error)
            return
        together = len(self.answers)
        for handle, poem in finished:
            answer = self.answers.pop(handle)
            _settle(answer, answer.set_result, Written(poem, handle.characters, together))

    def fail(self, error: Exception) -> None:
        lost, self.answers = list(self.answers.values()), {}
        for answer in lost:
            _fail(answer, error)


class BrokenPoetError(Exception):
    """The poet's results make no sense, so that nothing more can be written in this process."""


class Batcher:
    """``poet`` may be replaced at any time; poems in progress are finished by the poet that started them.

    If a poet violates its protocol, for example by finishing a poem that was not requested, the thread ends: then
    every poem in progress has failed, and ``write`` and ``raise_if_broken`` raise BrokenPoetError.
    """

    def __init__(self, poet: PoetLike) -> None:
        self.poet = poet
        self._broken: BrokenPoetError | None = None
        self._requests: deque[tuple[PoetLike, PoemRequest, PoemFuture]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        # Daemon: a program that exits does not wait for poems it has abandoned.
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def write(self, request: PoemRequest) -> Written:
        """PoemError: the request cannot be served. Other exceptions: this request, or another in its batch, failed."""
        answer: PoemFuture = asyncio.get_running_loop().create_future()
        with self._changed:
            self.raise_if_broken()
            self._requests.append((self.poet, request, answer))
            self._changed.notify()
        return await answer

    def raise_if_broken(self) -> None:
        """BrokenPoetError: the thread has ended by itself."""
        if self._broken is not None:
            raise self._broken

    def close(self) -> None:
        """Start no more poems; the thread ends after its current step."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        batches: list[_InFlight] = []
        try:
            self._write_until_closed(batches)
        except Exception as error:
            with self._changed:
                self._broken = broken = BrokenPoetError(origin(error))
            for batch in batches:
                batch.fail(broken)
            for _, _, answer in self._requests:
                _fail(answer, broken)

    def _write_until_closed(self, batches: list[_InFlight]) -> None:
        while True:
            with self._changed:
                while not (self._requests or batches or self._closed):
                    self._changed.wait()
                if self._closed:
                    return
                requests = list(self._requests)
                self._requests.clear()
            for poet, request, answer in requests:
                if not batches or batches[-1].poet is not poet:
                    batches.append(_InFlight(poet))
                batches[-1].take(request, answer)
            for batch in batches:
                if batch.answers:
                    batch.step()
            batches[:] = [batch for batch in batches if batch.answers]


def _fail(answer: PoemFuture, error: Exception) -> None:
    _settle(answer, answer.set_exception, error)


def _settle(answer: PoemFuture, settle: Callable[[T], None], outcome: T) -> None:
    """Call ``settle`` in the waiting event loop; the waiter may be cancelled and the loop closed by now."""
    with contextlib.suppress(RuntimeError):
        answer.get_loop().call_soon_threadsafe(lambda: None if answer.done() else settle(outcome))
