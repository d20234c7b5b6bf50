"""How candidates are scored and chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.contract import PoemRequest, outline
from engine.contract.text import clauses
from engine.generation.associations import Associations
from engine.generation.candidates import CandidateSet, _as_written
from engine.generation.corpus_lines import LineIndex
from engine.generation.plan import Cell, Plan
from engine.generation.poet import Poet
from engine.generation.preference import Preference
from engine.generation.ranker import Ranker
from engine.generation.sequence import TokenSequence
from engine.model.vocab import EOP, Vocabulary
from tests.support.likelihood import log_likelihood
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


def written(lines: Sequence[str], form: str = "五绝", given: float = -4.0) -> TokenSequence:
    """A poem whose characters are all chosen, each with the log-probability ``given``."""
    texts = [line + "，。"[number % 2] for number, line in enumerate(lines)]
    cells = [
        Cell(c, scored=c not in "，。", rhymes=n % 2 == 1 and i == len(t) - 2)
        for n, t in enumerate(texts)
        for i, c in enumerate(t)
    ]
    row = TokenSequence(Plan(tuple(cells), form), 0)
    for cell in cells:
        if not row.done:
            row.take(cell.forced, given if cell.scored else None)
    return row


def score(
    ranker: Ranker, lines: Sequence[str], form: str = "五绝", given: float = -4.0, theme: str = "", wish: bool = False
) -> float:
    return ranker.score(written(lines, form, given), theme, wish=wish)


def test_the_more_fluent_poem_wins() -> None:
    ranker = Ranker(VOCABULARY, VECTORS)
    assert score(ranker, LINES, given=-3.0) > score(ranker, LINES, given=-4.0)


def test_of_equally_fluent_poems_the_one_whose_words_are_associated_in_the_corpus_wins() -> None:
    ranker = Ranker(VOCABULARY, VECTORS, COMPANY)
    together, apart = ["山山", "水水", "山水", "水山"], ["山山", "风风", "山风", "风山"]
    assert score(ranker, together) > score(ranker, apart)
    without = Ranker(VOCABULARY, VECTORS)
    assert score(without, together) == score(without, apart)


def test_likelihoods_are_told_apart_by_line_and_by_rhyme_word() -> None:
    row = TokenSequence(
        Plan(tuple(Cell(c, scored=c not in "，。", rhymes=c in "月去") for c in "山来，风月。水来，山去。"), "五绝"), 0
    )
    for character, nats in zip("山来，风月。水来，山去", [-1, -2, 0, -3, -8, 0, -2, -1, 0, -3, -4], strict=True):
        row.take(character, None if character in "，。" else float(nats))
    features = Ranker(VOCABULARY, VECTORS).features(row)
    assert features.fluency == pytest.approx(-24 / 8)
    assert features.rhyme == pytest.approx(-6 + 3)
    assert features.last_line == pytest.approx(-3.5 + 3)


def test_a_line_that_has_not_rhymed_yet_is_neither_better_nor_worse_for_it() -> None:
    features = Ranker(VOCABULARY, VECTORS).features(written(["山来"]))
    assert (features.rhyme, features.last_line) == (0, 0)


def test_the_end_of_a_free_poem_is_not_a_line() -> None:
    row = TokenSequence(Plan((Cell(free=True),), "古风"), 0)
    for character in ("山", "来", "，", "水", "去", "。", EOP):
        row.take(character, -9.0 if character == EOP else -1.0)
    features = Ranker(VOCABULARY, VECTORS).features(row)
    assert (features.fluency, features.last_line) == (-1, 0)


def test_associations_are_with_the_lines_above_and_with_the_first_line() -> None:
    ranker = Ranker(VOCABULARY, VECTORS, COMPANY)
    strong = COMPANY.strongest("水", "山")
    two, three = (ranker.features(written(lines)) for lines in (["山", "水"], ["风", "山", "水"]))
    assert two.association == two.opening_association == pytest.approx(strong)
    assert three.association == pytest.approx(strong / 2)
    assert three.opening_association == 0
    assert ranker.features(written(["山"])).association == 0


def test_the_subject_of_every_line_is_compared_with_that_of_the_first() -> None:
    together = {frozenset("山水"): 200, frozenset("风月"): 150}
    steps = [[together.get(frozenset((a, b)), 20) if a != b else 0 for a in "山水风月"] for b in "山水风月"]
    table = Associations("山水风月", np.array(steps, np.uint8))
    ranker, about = Ranker(VOCABULARY, VECTORS, table), table.subject
    near, far, half = (ranker.features(written(["山", *rest])).subject for rest in ("水水", "风风", "水风"))
    assert near == pytest.approx(float(about("山") @ about("水")))
    assert near > 0.9 > 0 > far
    assert half == pytest.approx((near + far) / 2)
    assert ranker.features(written(["山"])).subject == 0
    assert Ranker(VOCABULARY, VECTORS).features(written(["山", "水"])).subject == 0, "a model without associations"


def test_endings_of_the_lines_that_were_chosen_are_looked_up() -> None:
    ranker = Ranker(VOCABULARY, VECTORS, endings=LineIndex.of(["风月来", "月来去"]))
    row = TokenSequence(
        Plan(tuple(Cell(c, scored=i > 5) for i, c in enumerate("山风月来去，山水风月来。水去月风山，")), "五绝"), 0
    )
    for character in "山风月来去，山水风月来。水去月风":
        row.take(character, None if len(row.text) < 6 or character == "。" else -1.0)
    assert ranker.features(row).attested_endings == pytest.approx(0.5), "the given line does not count"
    row.take("山", -1.0)
    features = ranker.features(row)
    assert (features.attested_endings, features.attested_last_ending) == (0.5, 0)


def test_couplets_are_matched_in_the_middle_of_an_eight_line_poem_and_nowhere_else() -> None:
    ranker = Ranker(VOCABULARY, VECTORS, preference=Preference({}))
    crossed = [*LINES[:3], "去水", *LINES[4:]]
    assert score(ranker, LINES, "五律") > score(ranker, crossed, "五律")
    assert score(ranker, LINES, "五绝") == score(ranker, crossed, "五绝") == 0
    assert ranker.parallelism("山来", "水去") > 0 > ranker.parallelism("山来", "去水")


@pytest.mark.parametrize(
    ("request_", "given"),
    [
        (PoemRequest("continue", "老夫聊发少年狂", form="七律", mood="春风十里", seed=1), 7),
        (PoemRequest("acrostic", "春风十里", seed=2), 4),
    ],
)
def test_what_was_given_is_not_judged(folder: Path, request_: PoemRequest, given: int) -> None:
    chosen = finished(Poet.load(folder, device="cpu", candidates=2), request_).chosen
    assert chosen.chosen == sum(map(len, clauses(chosen.text))) - given
    assert len(chosen.likelihoods) == sum(line != request_.text for line in clauses(chosen.text))


def test_of_two_poems_the_one_that_is_nearer_to_the_theme_wins() -> None:
    rng = np.random.default_rng(1)
    ranker = Ranker(VOCABULARY, rng.normal(size=(8, len(VOCABULARY))).astype(np.float32) + 3)
    near, far = ["月来"] * 4, ["山水"] * 4
    assert ranker.nearness("".join(near), "月") > ranker.nearness("".join(far), "月")
    assert score(ranker, near, theme="月") > score(ranker, far, theme="月")
    assert score(ranker, near) == score(ranker, far)


def test_in_a_poem_that_wishes_well_the_one_without_sorrow_wins() -> None:
    ranker = Ranker(VOCABULARY, VECTORS)
    glad, sad = ["山水", "风月"], ["山水", "愁断"]
    assert score(ranker, glad, wish=True) > score(ranker, sad, wish=True)
    assert score(ranker, glad) == score(ranker, sad)


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


def test_the_next_line_continues_the_best_of_what_is_written_each_in_several_ways(folder: Path) -> None:
    poet = Poet.load(folder, device="cpu")
    request = PoemRequest("continue", "老夫聊发少年狂", form="七绝", seed=3, candidates=64)
    _, first, second, third = stages(poet, request)
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
        best.append(max(log_likelihood(row) for row in singles))
    assert np.mean([log_likelihood(row) for row in found]) > np.mean(best)


def test_a_doubled_character_is_spelled_alike_both_times() -> None:
    shape = outline(PoemRequest("acrostic", "春風十里"))
    plain = "春山青，风青青，十里里，里里山。"
    assert _as_written(plain, "春山青，風青青，十里裏，里裏山。", shape) == "春山青，風青青，十里里，里里山。"
