"""Blind comparison: pairs of poems for a reader who does not know which is which, and the score of the answers.

A folder of pairs has ``pairs.md`` and ``task.md`` for the reader, and ``key.json``: the position of side 2 in each
pair. Side 2 is the evaluated model; side 1 is a human poet or, in a duel, another model. The reader adds
``judge*.json``.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract import PoemRequest
from engine.contract.text import clauses
from engine.generation.poet import Poet
from engine.prosody.check import form_of
from train.data.corpus import Corpus
from train.evaluation.report import EVALUATED_FORMS

ASPECTS = ("fluency", "coherence", "meaning", "poetry")
MARK_RANGE = range(1, 6)
SEEDS_PER_READING = 1000
"""Poem n of the reading with seed s uses the seed s × this + n, so that no two readings share a seed."""

TASK = """Each pair begins with the same line. Judge each poem by reading it: only the lines after the shared \
first line, and how they fit it. Use no programs and no rules of thumb.

Give each poem four marks from 1 to 5 (5: a fine Tang poem, 3: passable, 1: nonsense):
- fluency: natural, grammatical classical Chinese
- coherence: the lines follow from each other and from the opening
- meaning: the whole says something
- poetry: imagery, conception

Then say which is the better poem: "A", "B" or "=". Write judge1.json:
[{"n": 1, "A": {"fluency": 3, "coherence": 2, "meaning": 2, "poetry": 3}, "B": {…}, "better": "A"}, …]
"""


class BlindReadingError(ValueError):
    """A folder of pairs that cannot be written or scored; the message says why."""


@dataclass(frozen=True)
class Side:
    """A model and how many candidates it chooses from."""

    poet: Poet
    candidates: int | None

    def write(self, openings: Sequence[str], form: str, seeds: Sequence[int]) -> list[str]:
        requests = [
            PoemRequest("continue", opening, form, seed=seed, candidates=self.candidates)
            for opening, seed in zip(openings, seeds, strict=True)
        ]
        return [poem.text.replace("\n", "") for poem in self.poet.write(requests)]


def write_pairs(
    folder: Path,
    corpus: Corpus,
    side: Side,
    rival: Side | None,
    poems: int,
    seed: int,
    report: Callable[[str], None],
) -> int:
    """Write a folder with ``poems`` pairs per form from held-out first lines; returns the number of pairs.

    ``rival``: side 1; None: the human poems.
    """
    if (folder / "key.json").exists():
        raise BlindReadingError(f"{folder} already contains pairs; name another folder")
    held_out = [poem for split in ("test", "validation") for poem in corpus.poems[split]]
    pairs: list[str] = []
    key: dict[int, str] = {}
    for form in EVALUATED_FORMS:
        fitting = [poem for poem in held_out if form_of(clauses(poem)) == form and _has_single_marks(poem)]
        chosen = random.Random(f"{seed} {form}").sample(fitting, min(poems, len(fitting)))  # noqa: S311  no secret
        report(f"{form}: {len(chosen)} pairs")
        numbers = range(len(key) + 1, len(key) + len(chosen) + 1)
        openings = [clauses(poem)[0] for poem in chosen]
        seeds = [seed * SEEDS_PER_READING + number for number in numbers]
        firsts = rival.write(openings, form, seeds) if rival else chosen
        seconds = side.write(openings, form, seeds)
        for number, first, second in zip(numbers, firsts, seconds, strict=True):
            key[number] = "AB"[_coin(f"{seed} {number} {first}")]
            a, b = (second, first) if key[number] == "A" else (first, second)
            pairs.append(f"## {number} · {form}\nA: {a}\nB: {b}\n")
    if not pairs:
        raise BlindReadingError("the corpus has no held-out poem of any form; a larger one is needed")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pairs.md").write_text("\n".join(pairs), "utf-8")
    (folder / "task.md").write_text(TASK, "utf-8")
    (folder / "key.json").write_text(json.dumps(key), "utf-8")
    return len(pairs)


def score_answers(folder: Path) -> dict[str, Any]:
    """Score all ``judge*.json`` of the folder: wins by side, side 2's share of decided pairs, mean marks by side."""
    key = _read_json(folder / "key.json")
    files = sorted(folder.glob("judge*.json"))
    if not files:
        raise BlindReadingError(f"{folder} has no judge*.json; readers write it, see task.md there")
    wins = Counter({"1": 0, "2": 0, "=": 0})
    marks: dict[str, dict[str, list[float]]] = {side: defaultdict(list) for side in "12"}
    for file in files:
        try:
            for verdict in _read_json(file):
                second = key[str(verdict["n"])]
                sides = {second: "2", "AB"[second == "A"]: "1", "=": "="}
                wins[sides[verdict["better"]]] += 1
                for letter in "AB":
                    for aspect in ASPECTS:
                        mark = verdict[letter][aspect]
                        if mark not in MARK_RANGE:
                            raise ValueError(f"{mark} is not a mark from 1 to 5")
                        marks[sides[letter]][aspect].append(mark)
        except (KeyError, TypeError, ValueError) as error:
            raise BlindReadingError(f"{file} is not what task.md asks for: {error!r}") from error
    decided = wins["1"] + wins["2"]
    means = {f"side {side}": {aspect: round(sum(m) / len(m), 2) for aspect, m in marks[side].items()} for side in "12"}
    return {"wins": dict(wins), "share_of_decided": round(wins["2"] / decided, 3) if decided else None, **means}


def _has_single_marks(poem: str) -> bool:
    """Whether each line ends in one mark; a few corpus poems have two in a row, which would give them away."""
    return len(poem) == sum(len(line) + 1 for line in clauses(poem))


def _coin(text: str) -> int:
    return int(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), 16) % 2


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BlindReadingError(f"{file} cannot be read as JSON: {error}") from error
