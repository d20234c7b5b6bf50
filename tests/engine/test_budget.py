"""How many candidates there is time for."""

from __future__ import annotations

import pytest

from engine.contract import PoemRequest, outline
from engine.contract.script import Script
from engine.generation.budget import Budget
from engine.generation.plan import Plan, plans
from tests.support.tiny_model import prosody


def options(text: str, form: str) -> list[Plan]:
    return plans(outline(PoemRequest("continue", text, form)), prosody(), Script().simplify)


SHORT, LONG = options("白日依山尽", "五绝"), options("月落乌啼霜满天", "七律")


def budget(seconds: float, character: float) -> Budget:
    """``character``: measured seconds of each."""
    found = Budget(64, seconds)
    for _ in range(2000):
        found.record(64 * character, 64)
    return found


def test_alone_and_fast_enough_a_poem_has_all() -> None:
    assert budget(0.5, 1e-4).candidates(LONG, 0) == 64
    assert Budget(64, 0.5).candidates(LONG, 0) == 64, "before anything was measured too"
    assert Budget(7, 0.5).candidates(SHORT, 0) == 7


def test_the_slower_the_longer_and_the_busier_the_fewer_but_always_one() -> None:
    assert budget(0.5, 1e-3).candidates(LONG, 0) < budget(0.5, 2e-4).candidates(LONG, 0) < 64
    assert budget(0.5, 1e-3).candidates(LONG, 0) < budget(0.5, 1e-3).candidates(SHORT, 0)
    counts = [budget(0.5, 1e-4).candidates(LONG, in_hand) for in_hand in range(64)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1


@pytest.mark.parametrize("character", [1e-5, 1e-4, 1e-3])
def test_a_burst_of_any_size_takes_less_than_twice_the_time_of_one_beyond_one_candidate_each(character: float) -> None:
    measured = budget(0.5, character)
    extra = sum(measured.candidates(LONG, in_hand) - 1 for in_hand in range(1000))
    assert extra * 75 * character < 2 * 0.5


def test_without_a_limit_there_are_all_whatever_is_in_flight() -> None:
    assert Budget(64).candidates(LONG, 500) == 64
