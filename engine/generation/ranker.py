"""Scores candidates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from engine.generation.associations import Associations
from engine.generation.corpus_lines import ENDING_LENGTH, NO_ENDINGS, LineIndex
from engine.generation.preference import BY_HAND, Features, Preference
from engine.generation.sequence import TokenSequence
from engine.model.checkpoint import FloatArray
from engine.model.vocab import Vocabulary

PARALLELISM_WEIGHT, NEARNESS_WEIGHT, SORROW_WEIGHT = 0.3, 2.0, 4.0
"""Weights of two cosines, and of a line's number of characters of sorrow."""
SORROWFUL = frozenset("愁恨悲哀怨泪哭泣啼悴惆怅寂寞断离别死鬼坟墓病衰孤苦伤凄怆愤杀")
"""Characters of sorrow, parting and death."""
RECENT = 4096
"""How many associations and subjects of lines are remembered: candidates share their first lines."""
NEAREST = 3
"""How many characters of a poem are compared with its theme."""


class Ranker:
    """Scores a candidate by what readers prefer, and by what the request asks for.

    *Preference*: a linear model of readers' marks, whose features describe how fluent the lines are and how they belong
    together. *Parallelism* (对仗), for the middle couplets of 律诗 and 排律: the mean cosine of the output vectors of
    corresponding characters, since characters used alike have similar vectors. *Nearness to the theme*, if there is
    one: how close the poem comes to each of the theme's characters, by the same vectors. In poems that *wish somebody
    well*, characters of sorrow count against a candidate: the poets' favourite subject is parting, even with mandarin
    ducks in the first line.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        output: FloatArray,
        associations: Associations | None = None,
        preference: Preference = BY_HAND,
        endings: LineIndex = NO_ENDINGS,
    ) -> None:
        """``output``: the output layer's weights [hidden, V]. ``associations``: None in models of earlier versions;
        ``endings``: of lines, see ``common_endings``."""
        self._vocabulary = vocabulary
        self._endings = endings
        associations = associations or Associations("", np.zeros((0, 0), np.uint8))
        self._strongest = lru_cache(RECENT)(associations.strongest)
        self._subject = lru_cache(RECENT)(associations.subject)
        self._preference = preference
        vectors = output.T - output.T.mean(axis=0)  # [V, hidden]
        self._vectors = _normalised(vectors)
        common = np.linalg.eigh(vectors.T @ vectors)[1][:, -1:]
        self._meanings = _normalised(vectors - vectors @ common @ common.T)

    def score(
        self,
        row: TokenSequence,
        theme: str = "",
        whole: int | None = None,
        wish: bool = False,
    ) -> float:
        """``whole``: how many lines the finished poem has; by default as many as ``row`` has.
        ``wish``: whether the poem wishes somebody well."""
        lines = row.lines
        score = self._preference.score(self.features(row), row.mean_states)
        if row.plan.form.endswith("律"):
            score += PARALLELISM_WEIGHT * self._middle_parallelism(lines, whole or len(lines))
        if theme:
            score += NEARNESS_WEIGHT * self.nearness("".join(lines), theme)
        if wish:
            sorrow = sum(character in SORROWFUL for line in lines for character in line) / len(lines)
            score -= SORROW_WEIGHT * sorrow
        return score

    def features(self, row: TokenSequence) -> Features:
        """What the preference is computed from; ``row`` may be unfinished."""
        lines = row.lines
        chosen = {line: own for line, own in row.likelihoods.items() if line < len(lines)}
        if not chosen:
            return Features()
        fluency = _mean([each for own in chosen.values() for each in own])
        attested = [float(lines[line][-ENDING_LENGTH:] in self._endings) for line in chosen]
        return Features(
            fluency=fluency,
            rhyme=_mean(row.rhyme_likelihoods) - fluency if row.rhyme_likelihoods else 0.0,
            last_line=_mean(chosen[max(chosen)]) - fluency,
            association=_mean([self._strongest(line, "".join(lines[:i])) for i, line in enumerate(lines[1:], 1)]),
            opening_association=_mean([self._strongest(line, lines[0]) for line in lines[1:]]),
            subject=_mean([float(self._subject(line) @ self._subject(lines[0])) for line in lines[1:]]),
            attested_endings=_mean(attested),
            attested_last_ending=attested[-1],
        )

    def _middle_parallelism(self, lines: Sequence[str], whole: int) -> float:
        middle = range(2, min(len(lines) - 1, whole - 3), 2)
        return _mean([self.parallelism(lines[i], lines[i + 1]) for i in middle])

    def nearness(self, text: str, theme: str) -> float:
        """Mean cosine between each character of ``theme`` and the ``NEAREST`` characters of ``text``.

        The vectors' dominant direction reflects how common a character is rather than its meaning, so it is removed (Mu
        and Viswanath 2018, "All-but-the-Top").
        """
        wanted, written = (self._meanings[self._vocabulary.encode(part)] for part in (theme, text))  # [n, hidden]
        nearest = np.sort(wanted @ written.T, axis=1)[:, -NEAREST:]
        return float(nearest.mean())

    def parallelism(self, line: str, facing: str) -> float:
        """Mean cosine of the characters at the same positions of two lines, in [-1, 1]."""
        first, second = (self._vectors[self._vocabulary.encode(text)] for text in (line, facing))  # [n, hidden]
        return float((first * second).sum(axis=1).mean())


def _normalised(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def _mean(numbers: Sequence[float]) -> float:
    """0 if there are none."""
    return sum(numbers) / max(1, len(numbers))
