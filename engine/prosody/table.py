"""The tones and the 平水韵 rhyme groups of single characters, simplified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
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

    def fits(self, character: str, tone: Tone | None) -> bool:
        """Whether some reading of ``character`` has ``tone``; an unknown character fits anywhere."""
        return tone is None or tone in self.tones.get(character, BOTH)

    def groups(self, character: str) -> frozenset[str]:
        """The level-tone rhyme groups of a character; an unknown one never rhymes."""
        return self.rhymes.get(character, frozenset())

    def to_bytes(self) -> bytes:
        """As it lies in a model folder: JSON, the characters of each tone and group as one string."""
        value = {field.name: _strings(getattr(self, field.name)) for field in fields(self)}
        return (json.dumps(value, ensure_ascii=False, indent=0) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what ``to_bytes`` gave. ValueError, KeyError, TypeError, AttributeError: it is something else."""
        value = json.loads(content)
        return cls(**{field.name: _sets(value[field.name]) for field in fields(cls)})


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
