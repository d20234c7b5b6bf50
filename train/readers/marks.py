"""Poems that readers have marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.contract.text import clauses
from engine.model.vocab import Vocabulary

READER_MARKS = Path(__file__).parent / "reader_marks.tsv"
"""Poems by models of this project, with readers' marks; docs/experiments.md tells how they were read."""
MARK_WEIGHTS = (1 / 6, 1 / 3, 1 / 2, 1 / 6)
"""Of fluency, coherence, meaning and poetry: what readers find lacking most counts most. With these, scores spread as
those by hand (``BY_HAND``) do, against which nearness to a theme is weighed."""
MAX_UNKNOWN_SHARE = 0.01
"""A model whose vocabulary lacks more of the marked characters than this learns nothing from them."""


@dataclass(frozen=True)
class MarkedPoem:
    """``group``: poems with the same group have the same opening and were marked by one reader side by side;
    ``opening``: the given first line; ``text``: the whole poem; ``mark``: the reader's, of the continuation."""

    group: str
    opening: str
    form: str
    text: str
    mark: float


class MarksError(ValueError):
    """A file of marks that cannot be used; the message says why."""


def read_marks(file: Path = READER_MARKS) -> list[MarkedPoem]:
    """Lines of, separated by tabs: group, form, opening, rest of the poem, and marks separated by spaces: fluency,
    coherence, meaning and poetry from 1 to 5, and an overall one from 1 to 10. MarksError names the line that is not
    one."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise MarksError(f"{file} cannot be read: {error}") from error
    poems = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                poems.append(_marked_poem(line))
            except ValueError as error:
                raise MarksError(f"{file}, line {number}: {error}") from error
    return poems


def _marked_poem(line: str) -> MarkedPoem:
    try:
        group, form, opening, rest, marks = line.split("\t")
        *aspects, overall = (int(mark) for mark in marks.split())
        mark = sum(weight * each for weight, each in zip(MARK_WEIGHTS, aspects, strict=True))
    except ValueError as error:
        raise ValueError("write group, form, opening, the rest of the poem and five marks") from error
    if not all(1 <= each <= 5 for each in aspects) or not 1 <= overall <= 10:
        raise ValueError("the first four marks are from 1 to 5, the last one from 1 to 10")
    text = f"{opening}，{rest}"
    if len({len(each) for each in clauses(text)}) != 1 or not clauses(rest):
        raise ValueError("the lines of the poem have different lengths")
    return MarkedPoem(group, opening, form, text, mark)


def knows(vocabulary: Vocabulary, poems: Sequence[MarkedPoem]) -> bool:
    """Whether the model knows nearly all characters of the poems."""
    text = "".join(poem.text for poem in poems)
    return sum(character not in vocabulary for character in text) <= MAX_UNKNOWN_SHARE * len(text)


def require_known(vocabulary: Vocabulary, poems: Sequence[MarkedPoem], source: Path | str) -> None:
    """MarksError: the model does not know the poems' characters."""
    if not knows(vocabulary, poems):
        raise MarksError(f"{source} has too many characters that the model does not know")
