"""A lock file: held by one process at a time, released by the operating system when that process dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class HeldError(Exception):
    """Another process holds the lock. ``holder``: its process ID, or "?" if it has not been written yet."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"process {holder} holds the lock")
        self.holder = holder


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold ``file`` as a lock. Raises HeldError, or OSError if the file cannot be opened for writing."""
    with file.open("a+", encoding="ascii", errors="replace") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise HeldError(lock.read(20).strip() or "?") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
