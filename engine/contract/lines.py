"""Reads the output lines of a child process, however long they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


async def lines_of(stream: asyncio.StreamReader, longest: int) -> AsyncIterator[bytes]:
    """The lines, without their line ends. Lines longer than about ``longest`` bytes are split, so that neither the
    reader fails nor the writer blocks on a full pipe."""
    rest = b""
    while chunk := await stream.read(longest):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(rest) >= longest:
            yield rest
            rest = b""
    if rest:
        yield rest
