"""Characters and their ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat

UNK, EOP, START, PAD = "<UNK>", "<EOP>", "<START>", "</s>"
SPECIALS = (UNK, EOP, START, PAD)
"""Always the last ids, the tutorial's three at its own places from the end."""


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows, marks included: id i is ``characters[i]``.

    The four specials follow them; ``len`` counts all. A character not in it has the id of ``<UNK>``.
    """

    characters: tuple[str, ...]
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if any(len(character) != 1 for character in self.characters):
            raise ValueError("a vocabulary holds single characters")
        if len(set(self.characters)) != len(self.characters):
            raise ValueError("a vocabulary holds each character once")
        object.__setattr__(self, "_names", (*self.characters, *SPECIALS))
        object.__setattr__(self, "_ids", {name: i for i, name in enumerate(self._names)})

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
        """What a Song poem starts with in training, so that <START> alone means Tang.

        The id of padding: a model needs no further symbol for it, and padding counts as such among targets only.
        """
        return self.pad

    def id(self, character: str) -> int:
        """The id of a character or of a special by its name; ``<UNK>``'s for any other."""
        return self._ids.get(character, self.unk)

    def encode(self, text: Iterable[str]) -> list[int]:
        return list(map(self._ids.get, text, repeat(self.unk)))

    def decode(self, ids: Iterable[int]) -> str:
        """Characters for ids; a special stands as its name."""
        return "".join(self._names[i] for i in ids)
