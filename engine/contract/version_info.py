"""What a person needs to know to compare model versions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VersionInfo:
    """``validation``, ``test``: perplexities; ``home``: the version that came with the program."""

    version: str
    date: str = ""
    validation: float | None = None
    test: float | None = None
    parent: str = ""
    home: bool = False
