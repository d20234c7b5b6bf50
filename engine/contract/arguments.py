"""The command line of every program: its parser, and readers of its output that leave."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn


class ArgumentParser(argparse.ArgumentParser):
    """A mistake is one sentence on stderr and exit code 2, without the usage in front; subcommands too."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def forget_stdout() -> None:
    """After BrokenPipeError: whoever read stdout has enough, as ``head`` may; what is left in it goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
