"""Opens untrusted files so that they can neither block the program nor fill its memory."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_FILE_BYTES = 1 << 26
"""Maximum size in bytes of a file that is read as a whole."""


class SpecialFileError(ValueError):
    """A pipe, a device or something else that is not a regular file."""


class LargeFileError(ValueError):
    """Larger than MAX_FILE_BYTES."""


def open_ordinary(file: Path) -> BinaryIO:
    """Open a regular file of at most MAX_FILE_BYTES bytes; the checks apply to the opened file itself.

    Raises SpecialFileError, LargeFileError, OSError.
    """
    # Without O_NONBLOCK, opening a pipe would block until somebody writes to it.
    opened = os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    status = os.fstat(opened.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE_BYTES:
        return opened
    opened.close()
    if not stat.S_ISREG(status.st_mode):
        raise SpecialFileError("it is not a regular file")
    raise LargeFileError(f"it is larger than {MAX_FILE_BYTES >> 20} MiB")
