"""Which of several finished candidates reads best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.model.checkpoint import FloatArray
from engine.model.vocab import Vocabulary


@dataclass(frozen=True)
class Weights:
    """How much each part of the score counts, in nats a character; ``parallel`` and ``near`` are cosines."""

    fluent: float = 1.0
    owed: float = 1.0
    parallel: float = 1.0
    near: float = 2.0


DEFAULT_WEIGHTS = Weights()
NEAREST = 3
"""Characters of a poem that show its theme."""


class Ranker:
    """Scores a candidate by what makes it readable.

    *Fluency*: the model's own mean log-likelihood of the characters it chose. Likelihood alone prefers the
    commonplace, so *what each line owes to what stands before it* (mood, opening, the lines above) is added: that
    likelihood less the likelihood of the same line by itself, which is the pointwise mutual information of a line
    and its context, as the model sees it (Li et al. 2016, "A Diversity-Promoting Objective Function for Neural
    Conversation Models"). *Parallelism* (对仗), for the middle couplets of 律诗 and 排律: the mean cosine of the output
    vectors of characters that face each other; characters used alike have vectors alike. *Nearness to a theme*,
    where one was asked for: how close the poem comes to each of the theme's characters, by the same vectors.
    """

    def __init__(self, vocabulary: Vocabulary, output: FloatArray, weights: Weights = DEFAULT_WEIGHTS) -> None:
        """``output``: the output layer's weights [hidden, V]."""
        self._vocabulary = vocabulary
        self._weights = weights
        vectors = output.T - output.T.mean(axis=0)  # [V, hidden]
        self._vectors = _normalised(vectors)
        common = np.linalg.eigh(vectors.T @ vectors)[1][:, -1:]
        self._meanings = _normalised(vectors - vectors @ common @ common.T)

    def score(
        self, lines: Sequence[str], form: str, given: float, alone: float, theme: str = "", whole: int | None = None
    ) -> float:
        """``given``, ``alone``: mean log-likelihood a character in its place and in its line alone, in nats.
        ``whole``: how many lines the poem is to have; by default ``lines`` are all."""
        score = self._weights.fluent * given + self._weights.owed * (given - alone)
        middle = range(2, min(len(lines) - 1, (whole or len(lines)) - 3), 2) if form.endswith("律") else range(0)
        if middle:
            parallel = [self.parallelism(lines[i], lines[i + 1]) for i in middle]
            score += self._weights.parallel * sum(parallel) / len(parallel)
        return score + self._weights.near * self.nearness("".join(lines), theme) if theme else score

    def nearness(self, text: str, theme: str) -> float:
        """How near the ``NEAREST`` characters of ``text`` are to each of ``theme``: the mean cosine.

        The direction that the vectors share most says how common a character is and hides what it means, so it is
        left out (Mu and Viswanath 2018, "All-but-the-Top").
        """
        wanted, written = (self._meanings[self._vocabulary.encode(part)] for part in (theme, text))  # [n, hidden]
        nearest = np.sort(wanted @ written.T, axis=1)[:, -NEAREST:]
        return float(nearest.mean())

    def parallelism(self, line: str, facing: str) -> float:
        """Mean cosine of the characters at the same places of two lines, in [-1, 1]."""
        first, second = (self._vectors[self._vocabulary.encode(text)] for text in (line, facing))  # [n, hidden]
        return float((first * second).sum(axis=1).mean())


def _normalised(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)
