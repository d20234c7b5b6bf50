"""For parents and children among processes: reading output line by line, and dying with the parent."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import sys
from collections.abc import AsyncIterator

_SET_PARENT_DEATH_SIGNAL = 1


def die_with_parent(number: signal.Signals) -> None:
    """Have Linux send this process a signal when its parent dies, even if the parent is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, number)


async def read_lines(stream: asyncio.StreamReader, max_bytes: int) -> AsyncIterator[bytes]:
    """The lines, without their line ends. Lines longer than about ``max_bytes`` bytes are split, so that neither the
    reader fails nor the writer blocks on a full pipe."""
    rest = b""
    while chunk := await stream.read(max_bytes):
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield line
        if len(rest) >= max_bytes:
            yield rest
            rest = b""
    if rest:
        yield rest
