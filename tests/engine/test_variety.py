"""Why another seed gives another poem."""

from __future__ import annotations

from engine.generation.lineage import SEEDS, Lineage
from engine.generation.sequence import NOTHING_AVOIDED
from engine.generation.variety import AVOIDED_LATER_SHARE, AVOIDED_SHARE, NO_VARIETY, Variety

COMMON = "".join(chr(0x4E00 + i) for i in range(300))


def test_each_seed_avoids_its_own_part_of_the_commonest_characters() -> None:
    variety = Variety("，。" + COMMON)
    parts = [variety.avoided(seed) for seed in range(20)]
    assert len(set(parts)) == 20
    assert all(abs(len(part.first) / 300 - AVOIDED_SHARE) < 0.15 for part in parts)
    assert all(abs(len(part.later) / 300 - AVOIDED_LATER_SHARE) < 0.15 for part in parts)
    assert all(set(part.later) < set(part.first) <= set(COMMON) for part in parts), "marks are never avoided"
    assert NO_VARIETY.avoided(1) == NOTHING_AVOIDED


def test_all_candidates_of_a_poem_avoid_the_same_and_so_does_one_written_again_by_its_seed() -> None:
    variety, lineage = Variety(COMMON), Lineage(4)
    seeds = lineage.first(7, 64)
    children = lineage.descendants(seeds[:8], 1, 64)
    assert {variety.avoided(seed) for seed in [*seeds, *(seed for family in children for seed in family)]} == {
        variety.avoided(7)
    }
    assert variety.avoided(7) == variety.avoided(7 + 5 * SEEDS)


def test_what_is_needed_is_not_avoided() -> None:
    variety = Variety(COMMON)
    needed = variety.avoided(3).later[0]
    assert needed not in "".join(variety.avoided(3, needed))
