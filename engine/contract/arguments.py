"""Command lines: the parser that all programs use, and what to do when stdout is closed."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn


class ArgumentParser(argparse.ArgumentParser):
    """Reports an error in one sentence on stderr without the usage, and exits with code 2; also in subcommands."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def discard_stdout() -> None:
    """Discard what is buffered for stdout, after BrokenPipeError: its reader, such as ``head``, has ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
