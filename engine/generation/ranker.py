"""Scores candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engine.generation.associations import Associations
from engine.model.checkpoint import FloatArray
from engine.model.vocab import Vocabulary


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of the score, in nats per character; ``parallel`` and ``near`` weigh cosines,
    ``sorrow`` characters per line."""

    fluent: float = 1.0
    owed: float = 1.0
    associated: float = 1.5
    parallel: float = 1.0
    near: float = 2.0
    sorrow: float = 4.0


DEFAULT_WEIGHTS = Weights()
SORROWFUL = frozenset("愁恨悲哀怨泪哭泣啼悴惆怅寂寞断离别死鬼坟墓病衰孤苦伤凄怆愤杀")
"""Characters of sorrow, parting and death."""
RECENT = 4096
"""How many associations of lines are remembered: candidates share their first lines."""
NEAREST = 3
"""How many characters of a poem are compared with its theme."""


class Ranker:
    """Scores a candidate by these parts.

    *Fluency*: the model's mean log-likelihood of the characters it chose. Since likelihood alone favours the
    commonplace, *dependence on the context* (mood, opening, earlier lines) is added: that likelihood minus the
    likelihood of the same line on its own, which is the pointwise mutual information of line and context according to
    the model (Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models").
    *Association*: how strongly the characters of each line are associated, in the training corpus, with those of the
    earlier lines and once more with those of the first, so that a poem keeps to its subject; stock phrases are
    associated with nothing in particular. *Parallelism* (对仗), for the middle couplets of 律诗 and 排律: the mean
    cosine of the output vectors of corresponding characters, since characters used alike have similar vectors.
    *Nearness to the theme*, if there is one: how close the poem comes to each of the theme's characters, by the same
    vectors. In poems that *wish somebody well*, characters of sorrow count against a candidate: the poets' favourite
    subject is parting, even with mandarin ducks in the first line.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        output: FloatArray,
        associations: Associations | None = None,
        weights: Weights = DEFAULT_WEIGHTS,
    ) -> None:
        """``output``: the output layer's weights [hidden, V]. ``associations``: None in models of earlier versions."""
        self._vocabulary = vocabulary
        associations = associations or Associations("", np.zeros((0, 0), np.uint8))
        self._strongest = lru_cache(RECENT)(associations.strongest)
        self._weights = weights
        vectors = output.T - output.T.mean(axis=0)  # [V, hidden]
        self._vectors = _normalised(vectors)
        common = np.linalg.eigh(vectors.T @ vectors)[1][:, -1:]
        self._meanings = _normalised(vectors - vectors @ common @ common.T)

    def score(
        self,
        lines: Sequence[str],
        form: str,
        given: float,
        alone: float,
        theme: str = "",
        whole: int | None = None,
        wish: bool = False,
    ) -> float:
        """``given``, ``alone``: mean log-likelihood per character in context and in its line alone, in nats.
        ``whole``: how many lines the finished poem has; by default the number of ``lines``.
        ``wish``: whether the poem wishes somebody well."""
        score = self._weights.fluent * given + self._weights.owed * (given - alone)
        middle = range(2, min(len(lines) - 1, (whole or len(lines)) - 3), 2) if form.endswith("律") else range(0)
        if middle:
            parallel = [self.parallelism(lines[i], lines[i + 1]) for i in middle]
            score += self._weights.parallel * sum(parallel) / len(parallel)
        if theme:
            score += self._weights.near * self.nearness("".join(lines), theme)
        if wish:
            sorrow = sum(character in SORROWFUL for line in lines for character in line) / len(lines)
            score -= self._weights.sorrow * sorrow
        return score + self._weights.associated * self.association(lines)

    def association(self, lines: Sequence[str]) -> float:
        """How strongly each line after the first is associated with those above it and with the first, in nats."""
        later = range(1, len(lines))
        if not later:
            return 0.0
        strongest = self._strongest
        return sum(strongest(lines[i], "".join(lines[:i])) + strongest(lines[i], lines[0]) for i in later) / len(later)

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
