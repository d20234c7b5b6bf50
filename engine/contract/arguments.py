"""Command lines: the parser that all programs use, and their exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

SUCCESS, ENVIRONMENT_ERROR, USAGE_ERROR = 0, 1, 2

Errors = tuple[type[Exception], ...]


class ArgumentParser(argparse.ArgumentParser):
    """Reports an error in one sentence on stderr without the usage, and exits with code 2; also in subcommands."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def run_command(command: Callable[[], int], usage_errors: Errors, environment_errors: Errors, prefix: str = "") -> int:
    """The exit code of ``command``. A listed error or an OSError becomes one sentence on stderr, after ``prefix``."""
    try:
        code = command()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return SUCCESS
    except BrokenPipeError:  # the reader of stdout, such as `head`, has ended: discard what is buffered for it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ENVIRONMENT_ERROR
    except usage_errors as error:
        print(f"{prefix}{error}", file=sys.stderr)
        return USAGE_ERROR
    except environment_errors as error:
        print(f"{prefix}{error}", file=sys.stderr)
        return ENVIRONMENT_ERROR
    except OSError as error:
        print(f"{prefix}{error.filename or 'the disk'}: {error.strerror or error}", file=sys.stderr)
        return ENVIRONMENT_ERROR
