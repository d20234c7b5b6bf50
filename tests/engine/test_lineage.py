"""Seeds that encode a candidate's history."""

from __future__ import annotations

import pytest

from engine.generation.lineage import SEEDS, Lineage

STAGES = [1, 2, 3, 7, 8, 12, 20, 21]


def grown(lineage: Lineage, stages: int, seed: int) -> list[list[int]]:
    """The seeds of a poem's candidates stage by stage, where the last of each stage goes on."""
    grown = [Lineage.first(seed, 64)]
    for stage in range(1, stages):
        grown.append(lineage.descendants([grown[-1][-1]], stage, 64)[0])
    return grown


@pytest.mark.parametrize("stages", STAGES)
def test_every_reader_of_json_takes_a_seed_as_it_is(stages: int) -> None:
    assert max(map(max, grown(Lineage(stages), stages, SEEDS - 1))) < 2**53


@pytest.mark.parametrize("stages", STAGES)
def test_candidates_differ_in_their_draws_and_share_those_of_the_stages_that_they_share(stages: int) -> None:
    lineage = Lineage(stages)
    for stage, seeds in enumerate(grown(lineage, stages, 7)):
        assert len({lineage.draw_seed(seed, stage) for seed in seeds}) == len(seeds)
        for earlier in range(stage):
            assert len({lineage.draw_seed(seed, earlier) for seed in seeds}) == 1


@pytest.mark.parametrize("seed", [0, 7, SEEDS, 2**40 + 3, 2**63 - 1])
def test_a_candidate_alone_has_the_seed_that_was_asked_for(seed: int) -> None:
    assert Lineage.first(seed, 1) == [seed]
    assert Lineage(7).descendants([seed], 3, 1) == [[seed]]


def test_any_number_of_candidates_are_different_and_each_can_be_asked_for() -> None:
    for seed in (5, 2**60):
        seeds = Lineage.first(seed, 1000)
        assert len(set(seeds)) == 1000
        assert max(seeds) < 2**53
