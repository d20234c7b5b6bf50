"""The tones and the 平水韵 rhyme groups of single characters, simplified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Self

from engine.contract.templates import Tone

BOTH: frozenset[Tone] = frozenset(("平", "仄"))


@dataclass(frozen=True)
class Prosody:
    """Readings as sets: a character with a level and an oblique reading has both tones.

    ``tones``: character → its tones. ``rhymes``: character → the level-tone groups it belongs to.
    ``attested_tones``, ``attested_rhymes``: only those that the poets really use. A reading gained when two
    traditional characters share a simplified one is in the full set and not here; an examiner accepts it,
    a poet does not write it.
    """

    tones: Mapping[str, frozenset[Tone]]
    rhymes: Mapping[str, frozenset[str]]
    attested_tones: Mapping[str, frozenset[Tone]]
    attested_rhymes: Mapping[str, frozenset[str]]
    oblique_rhymes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The groups of the rising, departing and entering tones, for the old verse that rhymes there; older model folders
    lack them."""

    def fits(self, character: str, tone: Tone | None) -> bool:
        """Whether some reading of ``character`` has ``tone``; an unknown character fits anywhere."""
        return tone is None or tone in self.tones.get(character, BOTH)

    def groups(self, character: str) -> frozenset[str]:
        """The level-tone rhyme groups of a character; an unknown one never rhymes."""
        return self.rhymes.get(character, frozenset())

    def to_bytes(self) -> bytes:
        """As it lies in a model folder: JSON, the characters of each tone and group as one string."""
        value = {part.name: _strings(getattr(self, part.name)) for part in fields(self)}
        return (json.dumps(value, ensure_ascii=False, indent=0) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what ``to_bytes`` gave. ValueError, KeyError, TypeError, AttributeError: it is something else."""
        value = {"oblique_rhymes": {}, **json.loads(content)}
        return cls(**{part.name: _sets(value[part.name]) for part in fields(cls)})


def _strings(sets: Mapping[str, frozenset[str]] | Mapping[str, frozenset[Tone]]) -> dict[str, str]:
    """Turned inside out: tone or group → the string of its characters."""
    strings: dict[str, list[str]] = {}
    for character in sorted(sets):
        for name in sorted(sets[character]):
            strings.setdefault(name, []).append(character)
    return {name: "".join(strings[name]) for name in sorted(strings)}


def _sets(strings: Mapping[str, str]) -> dict[str, frozenset]:  # type: ignore[type-arg]  # tones or groups
    names: dict[str, set[str]] = {}
    for name, characters in strings.items():
        for character in characters:
            names.setdefault(character, set()).add(name)
    return {character: frozenset(found) for character, found in names.items()}
