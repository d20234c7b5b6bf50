"""Characters and their ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
import numpy.typing as npt

UNK, EOP, START, PAD = "<UNK>", "<EOP>", "<START>", "</s>"
SPECIALS = (UNK, EOP, START, PAD)
"""Always the last ids, the tutorial's three at the same positions from the end as there."""


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows, including marks: id i is ``characters[i]``.

    The four specials follow; ``len`` counts all ids. Unknown characters have the id of ``<UNK>``.
    """

    characters: tuple[str, ...]
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _by_code: npt.NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if any(len(character) != 1 for character in self.characters):
            raise ValueError("a vocabulary consists of single characters")
        if len(set(self.characters)) != len(self.characters):
            raise ValueError("a vocabulary has each character once")
        object.__setattr__(self, "_names", (*self.characters, *SPECIALS))
        object.__setattr__(self, "_ids", {name: i for i, name in enumerate(self._names)})
        codes = np.array([ord(character) for character in self.characters], np.int64)
        by_code = np.full(codes.max(initial=0) + 2, self.unk)  # the last: of all codes above
        by_code[codes] = np.arange(len(codes))
        object.__setattr__(self, "_by_code", by_code)

    def __len__(self) -> int:
        return len(self.characters) + len(SPECIALS)

    def __contains__(self, character: object) -> bool:
        return character in self._ids and character not in SPECIALS

    @property
    def unk(self) -> int:
        return len(self.characters)

    @property
    def eop(self) -> int:
        return len(self.characters) + 1

    @property
    def start(self) -> int:
        return len(self.characters) + 2

    @property
    def pad(self) -> int:
        return len(self.characters) + 3

    @property
    def song_start(self) -> int:
        """The start symbol of Song poems in training, so that <START> means Tang only.

        It is the padding id, so that no further symbol is needed: padding is only recognised among targets.
        """
        return self.pad

    def id(self, character: str) -> int:
        """The id of a character or of a special by its name; for any other, that of ``<UNK>``."""
        return self._ids.get(character, self.unk)

    def encode(self, text: Iterable[str]) -> list[int]:
        return list(map(self._ids.get, text, repeat(self.unk)))

    def ids_of(self, text: str) -> npt.NDArray[np.int64]:
        """The ids of a text's characters; for many, faster than ``encode``."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        return self._by_code.take(codes, mode="clip")

    def decode(self, ids: Iterable[int]) -> str:
        """Characters for ids; specials by their names."""
        return "".join(self._names[i] for i in ids)
