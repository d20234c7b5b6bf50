"""The tutorial's decoder, implemented from its description: greedy decoding."""

from __future__ import annotations

import numpy as np

from engine.contract.text import CLAUSE_MARKS
from engine.model.backend import Backend
from engine.model.vocab import Vocabulary

MAX_LENGTH = 200
NONE = np.zeros(0, np.int64)


def generate(
    backend: Backend, vocabulary: Vocabulary, start_words: str, prefix_words: str = "", max_length: int = MAX_LENGTH
) -> str:
    """Continue ``start_words`` until the end symbol; ``prefix_words`` sets the mood and does not appear."""
    line = _GreedySequence(backend, vocabulary)
    line.read(prefix_words + start_words)
    poem = start_words
    while len(poem) < max_length and (character := line.write(may_end=True)):
        poem += character
    return poem


def gen_acrostic(
    backend: Backend, vocabulary: Vocabulary, heads: str, prefix_words: str = "", max_length: int = MAX_LENGTH
) -> str:
    """A poem whose clauses begin with ``heads``: after a clause mark the next head replaces the likeliest character.

    Ends when the heads are used up and the last clause is closed; the end symbol is ignored.
    """
    line = _GreedySequence(backend, vocabulary)
    line.read(prefix_words)
    poem, used = "", 0
    while len(poem) < max_length:
        if poem and poem[-1] not in CLAUSE_MARKS:
            poem += line.write(may_end=False)
        elif used < len(heads):
            line.read(heads[used])
            poem += heads[used]
            used += 1
        else:
            break
    return poem


class _GreedySequence:
    """One sequence in the backend. ``_next``: the last id, not yet fed to the model."""

    def __init__(self, backend: Backend, vocabulary: Vocabulary) -> None:
        self._backend, self._vocabulary = backend, vocabulary
        self._state = backend.start(1)
        self._next = vocabulary.start

    def read(self, text: str) -> None:
        for character in text:
            _, self._state = self._backend.step(np.array([self._next]), self._state, NONE)
            self._next = self._vocabulary.id(character)

    def write(self, may_end: bool) -> str:
        """The likeliest next character, or an empty string for the end symbol."""
        scores, self._state = self._backend.step(np.array([self._next]), self._state)
        known = self._vocabulary.unk  # the characters come first, then <UNK> and <EOP>
        self._next = int(scores[0, :known].argmax())
        if may_end and scores[0, self._vocabulary.eop] > scores[0, self._next]:
            return ""
        return self._vocabulary.characters[self._next]
