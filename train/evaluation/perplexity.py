"""Perplexity: how well a model predicts poems that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from engine.model.backend import Backend, Ids
from engine.model.vocab import Vocabulary
from train.data.batches import batches_by_length, encode
from train.data.corpus import Corpus

if TYPE_CHECKING:
    from engine.model.lstm import PoemLSTM

Nats = Callable[[Ids, Ids], float]
"""ids, targets [B, T] -> the sum of -ln p(target), not counting <PAD>."""


def perplexity(nats: Nats, vocabulary: Vocabulary, poems: Iterable[str], missing: int) -> float:
    """exp of the mean nats per target, over whole poems.

    Every character, mark and end symbol is a target; the start symbol and padding are not; nothing is truncated.
    ``missing``: how many character types the vocabulary lacks (``missing_types``). Predicting <UNK> only says that it
    is one of them, so as a target it costs ln(missing) more; this makes models with different vocabularies comparable.
    """
    total, targets = 0.0, 0
    for batch in batches_by_length(encode(list(poems), vocabulary), vocabulary.pad, tokens=2048):
        unknown = int((batch.targets == vocabulary.unk).sum())
        total += nats(batch.ids, batch.targets) + unknown * math.log(max(missing, 1))
        targets += batch.count
    if not targets:
        raise ValueError("perplexity needs a poem")
    return math.exp(total / targets)


def missing_types(corpus: Corpus, vocabulary: Vocabulary) -> int:
    """How many character types of the whole corpus are not in the vocabulary."""
    return len({c for poems in corpus.poems.values() for poem in poems for c in poem} - set(vocabulary.characters))


def model_nats(model: PoemLSTM, pad: int) -> Nats:
    """Computed by the model that is being trained, without dropout."""
    from engine.model.lstm import paddle

    def nats(ids: Ids, targets: Ids) -> float:
        training = model.training
        model.eval()
        with paddle.no_grad():
            loss = model.loss(paddle.to_tensor(ids), paddle.to_tensor(targets), pad, reduction="sum")
        if training:
            model.train()
        return float(loss)

    return nats


def backend_nats(backend: Backend, pad: int) -> Nats:
    """Computed by a backend, one character at a time as in generation."""

    def nats(ids: Ids, targets: Ids) -> float:
        state, total = backend.start(len(ids)), 0.0
        for column, wanted in zip(ids.T, targets.T, strict=True):  # [B]
            log_probabilities, state = backend.step(column, state)  # [B, V]
            right = log_probabilities[np.arange(len(wanted)), wanted]  # [B]
            total -= float(right[wanted != pad].sum(dtype=np.float64))
        return total

    return nats
