"""Learning what readers prefer from the poems that they have marked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.contract.text import clauses
from engine.generation.poet import PREFERENCE, Poet
from engine.generation.preference import BY_HAND, NAMES, Features
from engine.model import checkpoint
from engine.model.folder import VOCABULARY, WEIGHTS, ModelFolder
from engine.model.vocab import Vocabulary
from tests.support.marked_poems import random_poems, write_marks
from tests.support.tiny_model import write_model
from train.__main__ import main
from train.readers.marks import MARK_WEIGHTS, MarkedPoem, MarksError, knows, read_marks
from train.readers.preference import features_of, learn_preference


@pytest.fixture(scope="module")
def poet(tmp_path_factory: pytest.TempPathFactory) -> Poet:
    return Poet.load(write_model(tmp_path_factory.mktemp("model") / "tiny"), device="cpu", candidates=4)


def test_the_marked_poems_are_whole_and_their_marks_differ_within_groups() -> None:
    poems = read_marks()
    lines = {"绝": 4, "律": 8}
    assert len(poems) > 5000
    assert all(len(clauses(poem.text)) == lines[poem.form[1]] for poem in poems)
    assert all(clauses(poem.text)[0] == poem.opening for poem in poems if poem.opening)
    heads = {(poem.group, "".join(line[0] for line in clauses(poem.text))) for poem in poems if not poem.opening}
    assert len(heads) == len({group for group, _ in heads}) > 100, "acrostics of a group have the same heads"
    assert all(sum(MARK_WEIGHTS) <= poem.mark <= 5 * sum(MARK_WEIGHTS) for poem in poems)
    groups = {poem.group: {other.mark for other in poems[:800] if other.group == poem.group} for poem in poems[:800]}
    assert sum(len(marks) > 1 for marks in groups.values()) > 0.95 * len(groups)


def test_a_group_has_marks_of_all_its_lines_or_of_none(tmp_path: Path) -> None:
    file = tmp_path / "marks.tsv"
    file.write_text("1\t五绝\t山\t水。\t3 3 3 3 5\n2\t五绝\t山\t水。\t3 3 3 3 5 4\n", "utf-8")
    assert [poem.line_marks for poem in read_marks(file)] == [(), (4,)]
    file.write_text(file.read_text("utf-8").replace("2\t", "1\t"), "utf-8")
    with pytest.raises(MarksError, match="in group 1, mark the lines of all poems or of none"):
        read_marks(file)


def test_every_given_line_is_left_out_of_what_the_model_chose() -> None:
    poem = MarkedPoem("1", "山水，日月", "五绝", "山水，日月，春风，花草。", 3.0)
    assert poem.lines_chosen() == [-1] * 6 + [0, 0, -1, 1, 1, -1]


@pytest.mark.parametrize("name", ["fluency", "rhyme", "last_line"])
def test_poems_are_scored_in_the_order_of_their_marks(poet: Poet, name: str) -> None:
    poems = random_poems(160)
    features, states = features_of(poems, poet._decoder, poet._ranker)
    marks = features[:, NAMES.index(name)]
    marked = [replace(poem, mark=float(mark)) for poem, mark in zip(poems, marks, strict=True)]
    preference, correlation = learn_preference(marked, poet._decoder, poet._ranker)
    scores = [
        preference.score(Features(*own), state.reshape(2, -1)) for own, state in zip(features, states, strict=True)
    ]
    assert np.corrcoef(scores, marks)[0, 1] > 0.7
    assert 0.5 < correlation < 1, "the poems of a fold are predicted from the others"


def test_new_marks_correct_what_was_learned_before_and_do_not_replace_it(poet: Poet) -> None:
    poems = random_poems(240)
    features, _ = features_of(poems, poet._decoder, poet._ranker)
    fluency, rhyme = (features[:, NAMES.index(name)] for name in ("fluency", "rhyme"))
    old, new = (
        [replace(poem, mark=float(mark)) for poem, mark in zip(poems[part], marks[part], strict=True)]
        for part, marks in ((slice(0, 160), fluency), (slice(160, 240), fluency + 0.3 * rhyme))
    )
    before, _ = learn_preference(old, poet._decoder, poet._ranker)
    alone, _ = learn_preference(new[:40], poet._decoder, poet._ranker)
    corrected, _ = learn_preference(new[:40], poet._decoder, poet._ranker, before)
    _, correlation = learn_preference(new, poet._decoder, poet._ranker, before)
    assert corrected.weights["fluency"] > alone.weights["fluency"], "few marks do not say what many have said"
    assert corrected.weights["rhyme"] > before.weights["rhyme"]
    assert correlation > 0.7, "what was learned before counts when the poems of a fold are predicted"


def test_only_comparisons_within_a_group_count(poet: Poet) -> None:
    poems = random_poems(80)
    shifted = [replace(poem, mark=poem.mark + int(poem.group) * 3.0) for poem in poems]
    first, second = (learn_preference(each, poet._decoder, poet._ranker)[0] for each in (poems, shifted))
    np.testing.assert_allclose(list(first.weights.values()), list(second.weights.values()), atol=1e-6)
    np.testing.assert_allclose(first.states, second.states, atol=1e-6)


def test_a_model_that_does_not_know_the_characters_learns_nothing() -> None:
    poem = MarkedPoem("1", "山来", "五绝", "山来，水去。", 3.0)
    assert knows(Vocabulary(tuple("山来水去，。")), [poem])
    assert not knows(Vocabulary(tuple("山来水，。")), [poem])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1\t五绝\t山来水去也", "write group, form, opening"),
        ("1\t五绝\t山\t水。\t3 3 3 3", "write group, form, opening"),
        ("1\t五绝\t山\t水。\t3 3 3 3 good", "write group, form, opening"),
        ("1\t五绝\t山\t水。\t3 3 3 6 5", "are from 1 to 5"),
        ("1\t五绝\t山\t水。\t3 3 3 3 5 6", "are from 1 to 5"),
        ("1\t五绝\t山\t水。\t3 3 3 3 5 33", "write 1 marks of lines, or none, instead of 2"),
        ("1\t五绝\t山\t水。\t3 3 3 3 0", "from 1 to 10"),
        ("1\t五绝\t山\t水。\t3 3 3 3 5 x", "perhaps with a digit for each line"),
        ("1\t五绝\t山\t水去。\t3 3 3 3 5", "different lengths"),
        ("1\t五绝\t山\t水，。\t3 3 3 3 5", "end each line with one mark"),
        ("1\t五绝\t\t山，水。\t3 3 3 3 5", "two characters or more"),
        ("1\t五绝\t山\t\t3 3 3 3 5", "different lengths"),
    ],
)
def test_a_line_that_is_not_a_marked_poem_is_named(tmp_path: Path, line: str, why: str) -> None:
    file = tmp_path / "marks.tsv"
    file.write_text(f"\ufeff1\t五绝\t山\t水。\t3 3 3 3 5\n\n{line}\n", "utf-8")
    with pytest.raises(MarksError, match=f"line 3: .*{why}"):
        read_marks(file)


def test_the_command_gives_a_model_the_preference_of_ones_own_marks(tmp_path: Path) -> None:
    folder, file = write_model(tmp_path / "tiny"), tmp_path / "marks.tsv"
    write_marks(file, random_poems(80), lambda number: 1 + number % 5)
    before = ModelFolder.read(folder).parts[PREFERENCE]
    assert main(["preference", str(folder), "--version", "mine", "--marks", str(file)], {}) == 0
    model = ModelFolder.read(folder)
    assert model.card["preference"]["marked_poems"] == 80
    assert model.parts[PREFERENCE] != before
    assert Poet.load(folder, device="cpu").model == "mine"


def test_the_command_corrects_a_preference_with_the_marks_after_the_first_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, learned = tmp_path / "marks.tsv", list[bytes]()
    for shift in (0, 1):
        folder = write_model(tmp_path / f"tiny{shift}")
        command = ["preference", str(folder), "--version", "mine", "--marks", str(file)]
        write_marks(file, random_poems(160), lambda number: 1 + (number + shift * (number < 80)) % 5)  # noqa: B023
        assert main([*command, "--skip", "160"], {}) == 2
        assert "has 160 marked poems; --skip 160 leaves none" in capsys.readouterr().err
        assert main([*command, "--skip", "80"], {}) == 0
        model = ModelFolder.read(folder)
        assert (model.card["preference"]["marked_poems"], model.card["preference"]["corrected_with"]) == (160, 80)
        learned.append(model.parts[PREFERENCE])
    assert learned[0] == learned[1], "the marks of the first 80 poems do not count"


def test_a_preference_that_is_not_corrected_is_replaced_unread(tmp_path: Path) -> None:
    folder, file = write_model(tmp_path / "tiny"), tmp_path / "marks.tsv"
    write_marks(file, random_poems(80), lambda number: 1 + number % 5)
    parts = {name: part for name, part in ModelFolder.read(folder).parts.items() if name not in (WEIGHTS, VOCABULARY)}
    checkpoint.save(folder, checkpoint.load(folder), {**parts, PREFERENCE: b"of a later version"})
    assert main(["preference", str(folder), "--version", "mine", "--marks", str(file)], {}) == 0
    assert Poet.load(folder, device="cpu").model == "mine"


def test_a_model_without_a_preference_has_the_one_by_hand_corrected(tmp_path: Path) -> None:
    folder, file, learned = write_model(tmp_path / "tiny"), tmp_path / "marks.tsv", list[bytes]()
    write_marks(file, random_poems(160), lambda number: 1 + number % 5)
    model, tiny = ModelFolder.read(folder), checkpoint.load(folder)
    without = {name: part for name, part in model.parts.items() if name not in (WEIGHTS, VOCABULARY, PREFERENCE)}
    for parts in (without, {**without, PREFERENCE: BY_HAND.to_bytes()}):
        checkpoint.save(folder, tiny, parts)
        assert main(["preference", str(folder), "--version", "mine", "--marks", str(file), "--skip", "80"], {}) == 0
        learned.append(ModelFolder.read(folder).parts[PREFERENCE])
    assert learned[0] == learned[1]


@pytest.mark.parametrize(
    ("poems", "poetry"),
    [(random_poems(80), lambda _: 3), (random_poems(16), lambda number: 1 + number % 5), ([], lambda _: 3)],
    ids=["all alike", "two groups", "none"],
)
def test_marks_that_say_nothing_leave_a_model_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], poems: list[MarkedPoem], poetry: Callable[[int], int]
) -> None:
    folder, file = write_model(tmp_path / "tiny"), tmp_path / "marks.tsv"
    write_marks(file, poems, poetry)
    before = (folder / "card.json").read_bytes()
    assert main(["preference", str(folder), "--version", "mine", "--marks", str(file)], {}) == 2
    assert "groups or more with different marks are needed" in capsys.readouterr().err
    assert (folder / "card.json").read_bytes() == before


def test_marks_with_characters_that_a_model_does_not_know_leave_it_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_model(tmp_path / "tiny")
    assert main(["preference", str(folder), "--version", "mine"], {}) == 2
    assert "does not know" in capsys.readouterr().err
    assert "preference" not in ModelFolder.read(folder).card
