"""Why another seed gives another poem."""

from __future__ import annotations

import pytest

from engine.generation.lineage import SEEDS, Lineage
from engine.generation.sequence import NOTHING_AVOIDED
from engine.generation.variety import AVOIDED_SHARES, AVOIDED_SHARES_IN_ACROSTICS, NO_VARIETY, Variety

COMMON = "".join(chr(0x4E00 + i) for i in range(300))


@pytest.mark.parametrize("acrostic", [False, True])
def test_each_seed_avoids_its_own_part_of_the_commonest_characters(acrostic: bool) -> None:
    variety = Variety("，。" + COMMON)
    first, later = AVOIDED_SHARES_IN_ACROSTICS if acrostic else AVOIDED_SHARES
    parts = [variety.avoided(seed, acrostic=acrostic) for seed in range(20)]
    assert len(set(parts)) == 20
    assert all(abs(len(part.first) / 300 - first) < 0.1 for part in parts)
    assert all(abs(len(part.later) / 300 - later) < 0.08 for part in parts)
    assert all(set(part.later) < set(part.first) <= set(COMMON) for part in parts), "marks are never avoided"
    assert NO_VARIETY.avoided(1) == NOTHING_AVOIDED


def test_acrostics_avoid_more() -> None:
    variety = Variety(COMMON)
    usual, acrostic = variety.avoided(5), variety.avoided(5, acrostic=True)
    assert set(usual.first) < set(acrostic.first)
    assert set(usual.later) < set(acrostic.later)


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
