"""Poems of a tiny model with invented marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.support.tiny_model import CHARACTERS
from train.readers.marks import MarkedPoem


def random_poems(count: int, characters: Sequence[str] = CHARACTERS) -> list[MarkedPoem]:
    """In groups of eight with the same opening."""
    rng, poems = np.random.default_rng(1), []
    for number in range(count):
        if number % 8 == 0:
            opening = "".join(rng.choice(characters, 5))
        lines = [opening, *("".join(rng.choice(characters, 5)) for _ in range(3))]
        text = "".join(line + "，。"[i % 2] for i, line in enumerate(lines))
        poems.append(MarkedPoem(str(number // 8), opening, "五绝", text, float(rng.random())))
    return poems


def write_marks(file: Path, poems: Sequence[MarkedPoem], poetry: Callable[[int], int]) -> None:
    rows = [
        f"{poem.group}\t{poem.form}\t{poem.opening}\t{poem.text[6:]}\t3 3 3 {poetry(number)} 5"
        for number, poem in enumerate(poems)
    ]
    file.write_text("\n".join(rows), "utf-8")
