"""How likely the model finds what it chose."""

from __future__ import annotations

from engine.generation.sequence import TokenSequence


def log_likelihood(row: TokenSequence) -> float:
    """The sum over all chosen characters, in nats."""
    return sum(map(sum, row.likelihoods.values()))
