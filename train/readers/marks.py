"""Poems that readers have marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.contract.text import CLAUSE_MARKS, clauses
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
    ``opening``: the given first line, empty for an acrostic, of which the first character of every line is given;
    ``text``: the whole poem; ``mark``: the reader's, of what the model wrote; ``line_marks``: of its lines, if any.
    """

    group: str
    opening: str
    form: str
    text: str
    mark: float
    line_marks: tuple[int, ...] = ()

    def lines_chosen(self) -> list[int]:
        """For each character of ``text``, to which of the lines that the model wrote it belongs, from 0; -1 for marks
        and given characters."""
        numbers, line, begins = list[int](), -len(clauses(self.opening)), True
        for character in self.text:
            given = character in CLAUSE_MARKS or (begins and not self.opening)
            numbers.append(-1 if given else max(line, -1))
            begins = character in CLAUSE_MARKS
            line += begins
        return numbers


class MarksError(ValueError):
    """A file of marks that cannot be used; the message says why."""


def read_marks(file: Path = READER_MARKS, more_than: int = 0) -> list[MarkedPoem]:
    """Lines of, separated by tabs: group, form, opening, rest of the poem, and marks separated by spaces: fluency,
    coherence, meaning and poetry from 1 to 5, an overall one from 1 to 10, and perhaps a digit from 1 to 5 for each
    line of the rest, without spaces. The opening of an acrostic is empty.

    MarksError names the line that is not one, or says that there are not more poems than ``more_than``.
    """
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
    unlike = {poem.group for poem in poems if poem.line_marks} & {poem.group for poem in poems if not poem.line_marks}
    if unlike:
        raise MarksError(f"{file}: in group {min(unlike)}, mark the lines of all poems or of none")
    if more_than and len(poems) <= more_than:
        raise MarksError(f"{file} has {len(poems)} marked poems; --skip {more_than} leaves none")
    return poems


def _marked_poem(line: str) -> MarkedPoem:
    try:
        group, form, opening, rest, marks = line.split("\t")
        words, count = marks.split(), len(MARK_WEIGHTS) + 1
        *aspects, overall = map(int, words[:count])
        mark = sum(weight * each for weight, each in zip(MARK_WEIGHTS, aspects, strict=True))
        line_marks = tuple(map(int, "".join(words[count:])))
    except ValueError as error:
        raise ValueError(
            "write group, form, opening, the rest of the poem and five marks, perhaps with a digit for each line"
        ) from error
    if not all(1 <= each <= 5 for each in (*aspects, *line_marks)) or not 1 <= overall <= 10:
        raise ValueError("marks of aspects and lines are from 1 to 5, the overall one from 1 to 10")
    text = f"{opening}，{rest}" if opening else rest
    if len({len(each) for each in clauses(text)}) != 1 or not clauses(rest):
        raise ValueError("the lines of the poem have different lengths")
    if sum(character in CLAUSE_MARKS for character in text) != len(clauses(text)):
        raise ValueError("end each line with one mark")
    if not opening and len(clauses(rest)[0]) == 1:
        raise ValueError("an acrostic has lines of two characters or more")
    if line_marks and len(line_marks) != len(clauses(rest)):
        raise ValueError(f"write {len(clauses(rest))} marks of lines, or none, instead of {len(line_marks)}")
    return MarkedPoem(group, opening, form, text, mark, line_marks)


def knows(vocabulary: Vocabulary, poems: Sequence[MarkedPoem]) -> bool:
    """Whether the model knows nearly all characters of the poems."""
    text = "".join(poem.text for poem in poems)
    return sum(character not in vocabulary for character in text) <= MAX_UNKNOWN_SHARE * len(text)


def require_known(vocabulary: Vocabulary, poems: Sequence[MarkedPoem], source: Path | str) -> None:
    """MarksError: the model does not know the poems' characters."""
    if not knows(vocabulary, poems):
        raise MarksError(f"{source} has too many characters that the model does not know")
