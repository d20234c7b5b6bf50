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
    """Sets of readings: a character with a level and an oblique reading has both tones.

    ``tones``: character → its tones. ``rhymes``: character → the level-tone groups it belongs to.
    ``attested_tones``, ``attested_rhymes``: only readings found in the corpus. A reading that a simplified character
    has only because two traditional ones were merged may be missing here: the examiner accepts it, the generator does
    not use it.
    """

    tones: Mapping[str, frozenset[Tone]]
    rhymes: Mapping[str, frozenset[str]]
    attested_tones: Mapping[str, frozenset[Tone]]
    attested_rhymes: Mapping[str, frozenset[str]]
    oblique_rhymes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The groups of the rising, departing and entering tones, for old-style verse that rhymes in them. Older model
    folders lack it."""

    def fits(self, character: str, tone: Tone | None) -> bool:
        """Whether ``character`` has a reading with ``tone``; unknown characters fit anywhere."""
        return tone is None or tone in self.tones.get(character, BOTH)

    def groups(self, character: str) -> frozenset[str]:
        """The level-tone rhyme groups of a character; unknown characters never rhyme."""
        return self.rhymes.get(character, frozenset())

    def to_bytes(self) -> bytes:
        """The file in a model folder: JSON, with the characters of each tone and group as one string."""
        value = {part.name: _strings(getattr(self, part.name)) for part in fields(self)}
        return (json.dumps(value, ensure_ascii=False, indent=0) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what ``to_bytes`` wrote. ValueError, KeyError, TypeError, AttributeError: it is something else."""
        value = {"oblique_rhymes": {}, **json.loads(content)}
        return cls(**{part.name: _sets(value[part.name]) for part in fields(cls)})


def _strings(sets: Mapping[str, frozenset[str]] | Mapping[str, frozenset[Tone]]) -> dict[str, str]:
    """Inverted: tone or group → the string of its characters."""
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
    return {character: frozenset(own) for character, own in names.items()}
