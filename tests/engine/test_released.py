"""A few tests of the released model itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.contract import PoemRequest
from engine.generation.poet import RELEASED, Poet
from engine.generation.ranker import SORROWFUL
from engine.model.folder import read_card
from engine.prosody import check
from train.readers.marks import read_marks


@pytest.fixture(scope="module")
def released_poet() -> Poet:
    return Poet.load(device="cpu")


def test_the_card_says_how_good_the_model_is_and_how_it_came_to_be() -> None:
    card = read_card(RELEASED)
    assert 1 < card["perplexity"]["test"] < 200
    assert 1 < card["perplexity"]["validation"] < 200
    assert card["perplexity"]["test_int8"] <= 1.01 * card["perplexity"]["test"]
    before = card["parent"]
    aligned = [each["training"]["aligned_with_marks"]["marked_poems"] for each in (card, before)]
    preference = card["preference"]
    assert sum(aligned) + preference["corrected_with"] == preference["marked_poems"] == len(read_marks())
    assert before["parent"]["training"]["epochs"] >= 1
    assert "PyTorch" in before["parent"]["parent"]["made_by"]


def test_a_released_version_stays_small() -> None:
    assert sum(file.stat().st_size for file in RELEASED.iterdir()) < 45_000_000


@pytest.mark.parametrize("form", ["五绝", "七绝", "五律", "七律"])
def test_it_writes_verse_without_faults_after_a_faultless_line(released_poet: Poet, form: str) -> None:
    opening = "白日依山尽" if form[0] == "五" else "月落乌啼霜满天"
    for poem in released_poet.write([PoemRequest("continue", opening, form, seed=i) for i in range(3)]):
        report = check(poem.lines, released_poet.prosody)
        assert report.faults == ()
        assert (report.template, report.rhyme) == (poem.template, poem.rhyme)


def test_it_writes_what_the_readme_shows_in_the_forms_it_shows(released_poet: Poet) -> None:
    poems = released_poet.write(
        [PoemRequest("continue", "老夫聊发少年狂", "七绝", seed=3), PoemRequest("acrostic", "春风十里", seed=10)]
    )
    assert [poem.form for poem in poems] == ["七绝", "五绝"]
    assert poems[0].lines[0] == "老夫聊发少年狂"
    assert "".join(line[0] for line in poems[1].lines) == "春风十里"


def test_a_poem_for_a_birthday_a_wedding_or_a_new_year_does_not_grieve(released_poet: Poet) -> None:
    wishes = [PoemRequest("theme", text, candidates=16) for text in ("老师", "新年", "祝我哥新婚快乐")]
    wishes.append(PoemRequest("acrostic", "生日快乐", candidates=16))
    poems = released_poet.write([replace(wish, seed=seed) for wish in wishes for seed in range(4)])
    assert sum(not SORROWFUL.isdisjoint(poem.text) for poem in poems) <= 1


def test_most_poems_on_a_theme_name_it(released_poet: Poet) -> None:
    themes = "月春酒雪江秋"
    poems = released_poet.write([PoemRequest("theme", theme, seed=i) for i, theme in enumerate(themes)])
    assert sum(theme in poem.text for theme, poem in zip(themes, poems, strict=True)) >= 5
    for poem in poems:
        assert check(poem.lines, released_poet.prosody).faults == ()


def test_another_seed_begins_another_way(released_poet: Poet) -> None:
    poems = released_poet.write([PoemRequest("acrostic", "春风十里", seed=seed) for seed in range(1, 9)])
    assert len({poem.lines[0] for poem in poems}) >= 6
