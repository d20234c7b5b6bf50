"""Files that came from elsewhere, opened so that none can make a program wait for ever or fill the memory."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

LARGEST_FILE = 1 << 26
"""Bytes of a file that is read whole."""


class SpecialFileError(ValueError):
    """A pipe, a device or another thing that is no ordinary file."""


class LargeFileError(ValueError):
    """More than LARGEST_FILE."""


def open_ordinary(file: Path) -> BinaryIO:
    """``file``, open for reading: an ordinary one of LARGEST_FILE bytes at most. What is looked at is what is opened.

    Raises SpecialFileError, LargeFileError, OSError.
    """
    # Without O_NONBLOCK a pipe would be waited for until somebody writes to it.
    opened = os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    found = os.fstat(opened.fileno())
    if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_FILE:
        return opened
    opened.close()
    if not stat.S_ISREG(found.st_mode):
        raise SpecialFileError("it is no ordinary file")
    raise LargeFileError(f"it is larger than {LARGEST_FILE >> 20} MiB")
