"""Which characters of a corpus are associated, and how the table is stored."""

from __future__ import annotations

import numpy as np
import pytest

from engine.generation.associations import LEAST_EXPECTED, Associations

PAIRS = ("春花", "秋月", "山鸟", "江帆", "酒客", "琴书", "松鹤", "雪梅")
POEMS = [f"{pair}，风。" for pair in PAIRS for _ in range(60)]
"""Each pair by itself, the wind in every poem."""


def test_characters_that_share_poems_more_often_than_by_chance_are_associated() -> None:
    table = Associations.of(POEMS)
    assert table.strongest("花", "春") == table.strongest("春", "花") > 1.5
    assert table.strongest("花", "秋") == 0, "never together"
    assert table.strongest("花", "风，。") < 0.3, "what is everywhere says nothing"
    assert table.strongest("花", "花") == 0, "a character has no company in itself"


def test_what_the_corpus_is_too_small_to_know_is_no_association() -> None:
    rare = int(LEAST_EXPECTED) - 1
    assert Associations.of([*POEMS, *["兰鹤"] * rare]).strongest("鹤", "兰") == 0
    assert Associations.of(POEMS).strongest("龘", "春") == 0


def test_a_line_is_worth_the_mean_of_its_characters_strongest_associations() -> None:
    table = Associations.of(POEMS)
    assert table.strongest("花秋龘", "春月") == pytest.approx(
        (table.strongest("花", "春") + table.strongest("秋", "月")) / 3
    )


def test_poems_longer_than_regulated_verse_are_not_counted() -> None:
    long = "春秋" + "山" * 70
    assert Associations.of([*POEMS, *[long] * 100]).strongest("秋", "春") == 0


def test_characters_that_share_poems_with_the_same_others_have_one_subject_even_if_they_never_meet() -> None:
    theme = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    steps = np.where(theme[:, None] == theme, 200, 80).astype(np.uint8)  # [8, 8], each is associated with all others
    steps[1, 2] = steps[2, 1] = 0
    np.fill_diagonal(steps, 0)
    table = Associations("山石泉松宫金帘殿", steps)
    assert table.strongest("石", "泉") == 0, "never together"
    assert table.subject("石") @ table.subject("泉") > 0.9
    assert table.subject("石泉") @ table.subject("帘") < -0.9, (
        "how strongly they are associated in general does not count"
    )
    assert np.linalg.norm(table.subject("山石")) == pytest.approx(1)
    assert not table.subject("龘").any(), "it is in no poem"


def test_the_table_survives_its_bytes_and_other_bytes_are_refused() -> None:
    table = Associations.of(POEMS)
    again = Associations.from_bytes(table.to_bytes())
    assert len(again) == len(table)
    assert again.to_bytes() == table.to_bytes()
    assert again.strongest("花", "春") == table.strongest("花", "春") > 0
    for wrong in (b"", b"1", table.to_bytes()[:-1], table.to_bytes() + b"0", b"\xff" * 40):
        with pytest.raises(ValueError, match=r"fit|number|codec"):
            Associations.from_bytes(wrong)
