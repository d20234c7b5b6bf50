"""How candidates are scored and chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.contract import PoemRequest, outline
from engine.contract.text import clauses
from engine.generation.associations import Associations
from engine.generation.candidates import CandidateSet, _as_written
from engine.generation.poet import Poet, _backend
from engine.generation.ranker import Ranker, Weights
from engine.generation.sequence import TokenSequence
from engine.model.checkpoint import load
from engine.model.folder import ModelFolder
from engine.model.vocab import Vocabulary
from tests.support.tiny_model import write_model

VOCABULARY = Vocabulary(tuple("山水风月来去"))
VECTORS = np.zeros((2, len(VOCABULARY)), np.float32)
VECTORS[:, VOCABULARY.encode("山水来去")] = [[1, 1, 0, 0], [0, 0, 1, 1]]  # nouns are alike, and so are verbs
LINES = ["风月"] * 2 + ["山来", "水去"] * 2 + ["风月"] * 2


COMPANY = Associations.of(["山水"] * 20 + ["风月"] * 20)
"""Mountains are associated with waters, and the wind with the moon."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


def finished(poet: Poet, request: PoemRequest) -> CandidateSet:
    draft = poet.add(request)
    while not poet.step():
        pass
    return draft


def test_of_equally_fluent_poems_the_one_that_depends_more_on_its_context_wins() -> None:
    ranker = Ranker(VOCABULARY, VECTORS)
    assert ranker.score(LINES, "五绝", -4.0, -6.0) > ranker.score(LINES, "五绝", -4.0, -5.0)
    assert ranker.score(LINES, "五绝", -3.0, -5.0) > ranker.score(LINES, "五绝", -4.0, -6.0)


def test_of_equally_fluent_poems_the_one_whose_words_are_associated_in_the_corpus_wins() -> None:
    ranker = Ranker(VOCABULARY, VECTORS, COMPANY)
    together, apart = ["山山", "水水", "山水", "水山"], ["山山", "风风", "山风", "风山"]
    assert ranker.score(together, "五绝", -4.0, -5.0) > ranker.score(apart, "五绝", -4.0, -5.0)
    without = Ranker(VOCABULARY, VECTORS)
    assert without.score(together, "五绝", -4.0, -5.0) == without.score(apart, "五绝", -4.0, -5.0)


def test_associations_with_the_first_line_count_twice() -> None:
    ranker = Ranker(VOCABULARY, VECTORS, COMPANY)
    strong = COMPANY.strongest("水", "山")
    assert ranker.association(["山", "水"]) == pytest.approx(2 * strong)
    assert ranker.association(["风", "山", "水"]) == pytest.approx(strong / 2)
    assert ranker.association(["山"]) == 0


def test_couplets_are_matched_in_the_middle_of_an_eight_line_poem_and_nowhere_else() -> None:
    ranker = Ranker(VOCABULARY, VECTORS, weights=Weights(0, 0, 0, 1))
    crossed = [*LINES[:3], "去水", *LINES[4:]]
    assert ranker.score(LINES, "五律", -4.0, -5.0) > ranker.score(crossed, "五律", -4.0, -5.0)
    assert ranker.score(LINES, "五绝", -4.0, -5.0) == ranker.score(crossed, "五绝", -4.0, -5.0) == 0
    assert ranker.parallelism("山来", "水去") > 0 > ranker.parallelism("山来", "去水")


@pytest.mark.parametrize(
    ("request_", "given"),
    [
        (PoemRequest("continue", "老夫聊发少年狂", form="七律", mood="春风十里", seed=1), 7),
        (PoemRequest("acrostic", "春风十里", seed=2), 4),
    ],
)
def test_each_line_that_was_chosen_in_is_read_by_itself_and_what_was_given_is_not_judged(
    folder: Path, request_: PoemRequest, given: int
) -> None:
    poet = Poet.load(folder, device="cpu", candidates=2)
    draft = finished(poet, request_)
    chosen = draft.chosen
    chosen_in = [line for line in clauses(chosen.text) if line != request_.text]
    alone = draft.read_alone(chosen)
    assert [clauses(row.text)[0] for row in alone] == chosen_in
    assert sum(row.chosen for row in alone) == sum(map(len, clauses(chosen.text))) - given


def test_a_line_by_itself_is_as_likely_as_the_model_says_without_any_context(folder: Path) -> None:
    poet = Poet.load(folder, device="cpu", candidates=2)
    checkpoint = load(folder)
    backend, vocabulary = _backend(ModelFolder.read(folder), checkpoint, "cpu", 1), checkpoint.vocabulary
    row = finished(poet, PoemRequest("continue", "老夫聊发少年狂", form="七绝", seed=3)).rows[-1]
    line = clauses(row.text)[0]
    state, before, nats = backend.start(1), vocabulary.start, 0.0
    for character in vocabulary.encode(line):
        scores, state = backend.step(np.array([before]), state)
        nats += float(scores[0, character] - np.log(np.exp(scores[0].astype(np.float64)).sum()))
        before = character
    assert row.log_likelihood == pytest.approx(nats, abs=1e-3)


def test_of_two_poems_the_one_that_is_nearer_to_the_theme_wins() -> None:
    rng = np.random.default_rng(1)
    ranker = Ranker(VOCABULARY, rng.normal(size=(8, len(VOCABULARY))).astype(np.float32) + 3)
    near, far = ["月来"] * 4, ["山水"] * 4
    assert ranker.nearness("".join(near), "月") > ranker.nearness("".join(far), "月")
    assert ranker.score(near, "五绝", -4.0, -5.0, "月") > ranker.score(far, "五绝", -4.0, -5.0, "月")
    assert ranker.score(near, "五绝", -4.0, -5.0) == ranker.score(far, "五绝", -4.0, -5.0)


def test_in_a_poem_that_wishes_well_the_one_without_sorrow_wins() -> None:
    ranker = Ranker(VOCABULARY, VECTORS)
    glad, sad = ["山水", "风月"], ["山水", "愁断"]
    assert ranker.score(glad, "五绝", -4.0, -5.0, wish=True) > ranker.score(sad, "五绝", -4.0, -5.0, wish=True)
    assert ranker.score(glad, "五绝", -4.0, -5.0) == ranker.score(sad, "五绝", -4.0, -5.0)


def test_a_theme_begins_some_candidates_and_leaves_others_to_the_model(folder: Path) -> None:
    poet = Poet.load(folder, device="cpu")
    request = PoemRequest("theme", "春天", seed=1, candidates=32)
    draft = poet.add(request)
    while len(draft.rows) < 32:
        poet.step()
    begun = {next(cell.forced for cell in row.plan.cells if cell.shown) for row in draft.rows}
    assert begun == {"", "春"}
    hidden = [cell.forced for cell in draft.rows[0].plan.cells if not cell.shown and not cell.branch]
    assert hidden == ["春", "。"]


def test_a_theme_poem_has_its_form_and_comes_again_with_its_seed(folder: Path) -> None:
    poet = Poet.load(folder, device="cpu", candidates=4)
    [poem] = poet.write([PoemRequest("theme", "明月", form="五律", seed=5)])
    assert [len(line) for line in poem.lines] == [5] * 8
    [again] = poet.write([PoemRequest("theme", "明月", form="五律", seed=poem.seed, candidates=1)])
    assert again.lines == poem.lines


def stages(poet: Poet, request: PoemRequest) -> Iterator[list[TokenSequence]]:
    """The finished rows of each stage of a poem."""
    draft = poet.add(request)
    rows = draft.rows
    while not poet.step():
        if draft.rows is not rows:
            yield rows
            rows = draft.rows
    yield rows


@pytest.mark.parametrize(("count", "share", "read"), [(5, 0.25, 5), (40, 0.25, 10), (40, 1.0, 40)])
def test_after_each_line_the_most_fluent_quarter_is_read_again_and_a_handful_in_any_case(
    folder: Path, count: int, share: float, read: int
) -> None:
    poet = Poet.load(folder, device="cpu", second_reading=share)
    request = PoemRequest("continue", "老夫聊发少年狂", form="七绝", seed=3, candidates=count)
    _, written, alone, *_ = stages(poet, request)
    assert len(written) == count
    fluency = sorted((row.log_likelihood for row in {row.text: row for row in written}.values()), reverse=True)
    lines = {clauses(row.text)[0] for row in alone}
    again = [row for row in written if clauses(row.text)[1] in lines]
    assert len(alone) == len(again) == min(read, len(fluency))
    assert sorted((row.log_likelihood for row in again), reverse=True) == fluency[:read]


def test_the_next_line_continues_the_best_of_what_is_written_each_in_several_ways(folder: Path) -> None:
    poet = Poet.load(folder, device="cpu")
    request = PoemRequest("continue", "老夫聊发少年狂", form="七绝", seed=3, candidates=64)
    _, first, _, second, _, third, _ = stages(poet, request)
    for before, after in ((first, second), (second, third)):
        beginnings = Counter(row.text[: len(before[0].text)] for row in after)
        assert set(beginnings) <= {row.text for row in before}
        assert list(beginnings.values()) == [8] * 8


def test_choosing_line_by_line_finds_a_better_poem_than_choosing_among_whole_ones(folder: Path) -> None:
    poet = Poet.load(folder, device="cpu")
    found, best = [], []
    for seed in range(5):
        request = PoemRequest("continue", "老夫聊发少年狂", form="七绝", seed=seed)
        found.append(finished(poet, replace(request, candidates=64)).chosen)
        singles = [finished(poet, replace(request, seed=100 * seed + i, candidates=2)).chosen for i in range(32)]
        best.append(max(row.log_likelihood for row in singles))
    assert np.mean([row.log_likelihood for row in found]) > np.mean(best)


def test_a_doubled_character_is_spelled_alike_both_times() -> None:
    shape = outline(PoemRequest("acrostic", "春風十里"))
    plain = "春山青，风青青，十里里，里里山。"
    assert _as_written(plain, "春山青，風青青，十里裏，里裏山。", shape) == "春山青，風青青，十里里，里里山。"
