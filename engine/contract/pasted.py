"""Finds the poem in pasted text, without titles, authors, notes and sources around it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.contract.text import CLAUSE_MARKS, clauses, visible

MAX_PIECES_AROUND = 4
"""How many pieces (title, dynasty, author, remark) may be skipped before a poem, and after it."""
_BRACKETED = re.compile(
    r"《[^《》]*》|〈[^〈〉]*〉|【[^【】]*】|〔[^〔〕]*〕|（[^（）]*）|\([^()]*\)|\[[^\[\]]*\]|［[^［］]*］"
)
_MARKS = CLAUSE_MARKS.replace("：", "") + ",.?!;"
"""Not the colon, which may follow an author or a title."""


@dataclass(frozen=True)
class _Piece:
    """A run of Chinese characters. ``marked``: punctuation of verse follows; ``separated``: an empty line or a dash."""

    text: str
    marked: bool
    separated: bool


def poem_lines(text: str) -> list[str]:
    """The lines of the poem in ``text``, as written; empty if there is no Chinese.

    Bracketed text is dropped. A few unpunctuated pieces before and after the poem are dropped too, if what remains has
    an even number of lines of 5 or 7 characters. Lines without punctuation between them are split.
    """
    pieces = _pieces(_BRACKETED.sub("\n", text)) or _pieces(text)
    for around in range(2 * MAX_PIECES_AROUND + 1):
        for before in range(min(around, MAX_PIECES_AROUND), max(0, around - MAX_PIECES_AROUND) - 1, -1):
            after = len(pieces) - (around - before)
            rest = pieces[before:after]
            fits = rest and _is_heading(pieces[:before]) and _is_remark(pieces[after:], rest)
            if fits and (lines := _regular_lines(rest)):
                return lines
    heading = next((i for i, piece in enumerate(pieces) if piece.marked), 0)
    return [piece.text for piece in pieces[heading if heading <= MAX_PIECES_AROUND else 0 :]]


def _pieces(text: str) -> list[_Piece]:
    text = visible(text)
    runs = clauses(text)
    starts, position = [], 0
    for run in runs:
        starts.append(text.index(run, position))
        position = starts[-1] + len(run)
    ends = [*starts, len(text)][1:]
    between = [text[start + len(run) : end] for run, start, end in zip(runs, starts, ends, strict=True)]
    return [
        _Piece(run, any(c in _MARKS for c in gap), re.search(r"\n\s*\n|[—―─-]", gap) is not None)
        for run, gap in zip(runs, between, strict=True)
    ]


def _is_heading(pieces: Sequence[_Piece]) -> bool:
    return not any(piece.marked for piece in pieces)


def _is_remark(pieces: Sequence[_Piece], poem: Sequence[_Piece]) -> bool:
    return not pieces or (not any(piece.marked for piece in pieces) and (poem[-1].marked or poem[-1].separated))


def _regular_lines(pieces: Sequence[_Piece]) -> list[str] | None:
    """Split the pieces into lines of 5 or 7 characters; None unless this gives an even number of four or more."""
    for length in (5, 7):
        if any(len(piece.text) % length for piece in pieces):
            continue
        lines = [piece.text[i : i + length] for piece in pieces for i in range(0, len(piece.text), length)]
        if len(lines) >= 4 and len(lines) % 2 == 0:
            return lines
    return None
