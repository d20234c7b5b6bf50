"""Turns a request into a plan: a sequence of cells, one per character.

Every form, the mood prefix and the tutorial's two modes are cells; ``engine.generation.decoder`` knows nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from typing import NamedTuple

from engine.contract.outline import MAX_GENERATED, Outline
from engine.contract.templates import Template, Tone, templates
from engine.contract.text import CLAUSE_MARKS
from engine.prosody import Prosody

MAX_BRANCHES = 20
"""Maximum number of branches; poems with more lines have one after every second line."""
MAX_OPENING_CHARACTERS = 2
"""Maximum length of a word of the theme that a line may begin with."""


class Cell(NamedTuple):
    """One character to write.

    ``forced``: this character, simplified, as the model reads it; ``shown``: whether it is part of the poem. Otherwise
    a choice among the characters of ``tone`` (None: any) and, if it ``rhymes``, of the poem's rhyme group, which the
    first rhyme word fixes. ``free``: the model continues by itself, including marks and the end; always the last cell.
    ``scored``: a forced character whose likelihood counts. ``branch``: nothing is written; the sequence stops here, and
    others continue from the model's state.
    """

    forced: str = ""
    shown: bool = True
    tone: Tone | None = None
    rhymes: bool = False
    free: bool = False
    scored: bool = False
    branch: bool = False

    @property
    def needs_scores(self) -> bool:
        """Whether the model's scores are needed here."""
        return self.scored or not self.forced


BRANCH = Cell(shown=False, branch=True)


@dataclass(frozen=True)
class Plan:
    """``rhyme``: the group, if the request or the opening fixes it. ``limit``: maximum characters of a free cell."""

    cells: tuple[Cell, ...]
    form: str
    template: str | None = None
    rhyme: str | None = None
    limit: int = MAX_GENERATED

    @cached_property
    def rhyme_count(self) -> int:
        """How many rhyme words are to be chosen."""
        return sum(cell.rhymes for cell in self.cells)

    @cached_property
    def ends(self) -> tuple[bool, ...]:
        """For each cell, whether it is the last of its line."""
        return tuple(after.forced in CLAUSE_MARKS and after.forced != "" for after in (*self.cells[1:], Cell()))

    @cached_property
    def forced(self) -> str:
        """The fixed characters of the poem."""
        return "".join(cell.forced for cell in self.cells if cell.shown)

    @cached_property
    def opening(self) -> int:
        """How many cells precede the first choice or branch."""
        return sum(1 for _ in takewhile(lambda cell: not cell.needs_scores, self.cells[: self.cells_to_read]))

    @cached_property
    def branches(self) -> int:
        return sum(cell.branch for cell in self.cells)

    @cached_property
    def cells_to_read(self) -> int:
        """How many cells there are up to the last that needs scores; the model need not read the rest."""
        return max((place + 1 for place, cell in enumerate(self.cells) if cell.needs_scores), default=0)


def in_stages(options: Sequence[Plan]) -> list[Plan]:
    """The same plans with branches: after the common beginning, which is read only once, and after each line that is
    followed by a choice (in the longest poems, after every second)."""
    fixed = [takewhile(lambda cell: not cell.needs_scores, plan.cells[: plan.cells_to_read]) for plan in options]
    shared = sum(1 for _ in takewhile(lambda cells: len(set(cells)) == 1, zip(*fixed, strict=False)))
    return [_with_branches(plan, shared) for plan in options]


def _with_branches(plan: Plan, opening: int) -> Plan:
    ends = [
        i + 1
        for i, cell in enumerate(plan.cells[: plan.cells_to_read])
        if i >= opening and cell.forced in tuple(CLAUSE_MARKS)
    ]
    branches = {opening, *ends[:: 1 if len(ends) <= MAX_BRANCHES else 2]} - {0, plan.cells_to_read}
    cells = [part for i, cell in enumerate(plan.cells) for part in ((BRANCH, cell) if i in branches else (cell,))]
    return replace(plan, cells=tuple(cells))


def plans(outline: Outline, prosody: Prosody, simplify: Callable[[str], str]) -> list[Plan]:
    """The plans that fit the request equally well: several if the given characters do not decide the template.

    ``simplify`` converts a clause character for character.
    """
    mood_clauses = [simplify(clause) for clause in outline.mood]
    mood = [Cell(character, shown=False) for character in _punctuated(mood_clauses, True)]
    given = [simplify(clause) for clause in outline.given]
    if outline.lines is None or outline.line_length is None:
        opening = [Cell(character) for character in _punctuated(given, False)]
        return [Plan((*mood, *opening, Cell(free=True)), outline.form)]
    grid = _grid(given, outline.line_length, outline.lines)
    if not outline.regulated:
        ends = [grid[i][-1] for i in range(1, outline.lines, 2)]
        rhyme = outline.rhyme and _rhyme_group(ends, outline.rhyme, prosody)
        return [Plan((*mood, *_old_style_cells(grid, bool(outline.rhyme))), outline.form, rhyme=rhyme)]
    fitting = []
    for words in _openings(simplify(outline.theme), mood_clauses):
        grid = _grid([words] if words else given, outline.line_length, outline.lines)
        options = templates(outline.form, outline.line_length, outline.lines)
        costs = [_tone_mismatch(grid, template, prosody) for template in options]
        fitting += [
            _regulated(mood, grid, template, outline, prosody)
            for template, cost in zip(options, costs, strict=True)
            if cost == min(costs)
        ]
    return fitting


def _openings(theme: str, words: Sequence[str]) -> list[str]:
    """How the first line may begin: freely, or with a word of the theme or its first character."""
    short = [word for word in words if word in theme and len(word) <= MAX_OPENING_CHARACTERS] if theme else []
    return list(dict.fromkeys(["", *short, *(word[0] for word in short)]))


def _regulated(mood: list[Cell], grid: list[list[str]], template: Template, outline: Outline, prosody: Prosody) -> Plan:
    cells = list(mood)
    marks = _clause_marks(len(grid), True)
    for given, line, mark in zip(grid, template.lines, marks, strict=True):
        strict = list(line.strict)
        guping = line.guping
        if guping is not None and given[guping] and not prosody.fits(given[guping], "平"):
            strict[guping + 2] = True  # makes up for 孤平 two positions later
        for place, character in enumerate(given):
            if character:
                cells.append(Cell(character))
            else:
                tone = line.tones[place] if strict[place] else None
                cells.append(Cell(tone=tone, rhymes=line.rhymes and place == len(given) - 1))
        cells.append(Cell(mark))
    ends = [given[-1] for given, line in zip(grid, template.lines, strict=True) if line.rhymes]
    return Plan(tuple(cells), outline.form, template.name, _rhyme_group(ends, outline.rhyme, prosody))


def _old_style_cells(grid: list[list[str]], rhymed: bool) -> list[Cell]:
    cells: list[Cell] = []
    for number, (given, mark) in enumerate(zip(grid, _clause_marks(len(grid), True), strict=True)):
        last = len(given) - 1
        cells += [
            Cell(character) if character else Cell(rhymes=rhymed and bool(number % 2) and place == last)
            for place, character in enumerate(given)
        ]
        cells.append(Cell(mark))
    return cells


def _grid(given: Sequence[str], length: int, lines: int) -> list[list[str]]:
    """[lines][length] of forced characters; an empty string where the model chooses.

    Each of ``given``, the opening clauses or the heads of an acrostic, begins its line.
    """
    texts = [*given, *[""] * (lines - len(given))]
    return [[*text, *[""] * (length - len(text))] for text in texts]


def _tone_mismatch(grid: list[list[str]], template: Template, prosody: Prosody) -> int:
    """Tone-mismatch penalty of the given characters; the end of a line weighs most, since it decides the rhyme."""
    cost = 0
    for given, line in zip(grid, template.lines, strict=True):
        for place, character in enumerate(given):
            if character and not prosody.fits(character, line.tones[place]):
                cost += 4 if place == len(given) - 1 else 2 if place % 2 else 1 if line.strict[place] else 0
    return cost


def _rhyme_group(ends: Sequence[str], wanted: str | None, prosody: Prosody) -> str | None:
    """The requested group, else the one that most of the given rhyme words belong to."""
    if wanted:
        return wanted
    groups: Counter[str] = Counter()
    for end in ends:
        used = prosody.attested_rhymes.get(end, frozenset())
        for group in prosody.groups(end):
            groups[group] += 2 if group in used else 1
    return max(groups, key=lambda group: (groups[group], group)) if groups else None


def _clause_marks(lines: int, ends: bool) -> list[str]:
    """Alternating ，and 。; with ``ends`` the last line always ends with 。"""
    marks = ["。" if i % 2 else "，" for i in range(lines)]
    if ends and marks:
        marks[-1] = "。"
    return marks


def _punctuated(clauses: Sequence[str], ends: bool) -> str:
    return "".join(clause + mark for clause, mark in zip(clauses, _clause_marks(len(clauses), ends), strict=True))
