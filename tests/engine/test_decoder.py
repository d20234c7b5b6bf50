"""The decoder, on a model whose scores are known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import pytest

from engine.generation.allowed import AllowedIds
from engine.generation.corpus_lines import LineIndex
from engine.generation.decoder import Decoder
from engine.generation.plan import BRANCH, Cell, Plan, in_stages
from engine.generation.sequence import Avoided, TokenSequence
from engine.model.backend import Ids, log_softmax
from engine.model.checkpoint import FloatArray
from tests.support.likelihood import log_likelihood
from tests.support.tiny_model import CHARACTERS, VOCABULARY, prosody

NO_LINES = LineIndex.of([])


class Known:
    """Every step has the same scores, whatever was fed; counts what is asked of it."""

    vocabulary_size = len(VOCABULARY)

    def __init__(self, likely: str = "") -> None:
        self.scores = np.zeros(len(VOCABULARY), np.float32)
        self.scores[[VOCABULARY.id(c) for c in likely]] = 20.0
        self.fed: list[list[int]] = []
        self.scored = 0

    def start(self, rows: int) -> FloatArray:
        return np.zeros((rows, 2, 1), np.float32)

    def step(self, ids: Ids, state: FloatArray, wanted: Ids | None = None) -> tuple[FloatArray, FloatArray]:
        self.fed.append(ids.tolist())
        count = len(ids) if wanted is None else len(wanted)
        self.scored += count
        return log_softmax(np.tile(self.scores, (count, 1))), state


class RunningDecoder(Decoder):
    def run(self, rows: Iterable[TokenSequence], width: int = 64) -> Iterator[TokenSequence]:
        """Write all rows, ``width`` at a time; yields them as they finish."""
        waiting = iter(rows)
        while True:
            self.add(list(islice(waiting, width - len(self))))
            if not len(self):
                return
            yield from self.step()


def decoder(backend: Known, lines: LineIndex = NO_LINES) -> RunningDecoder:
    return RunningDecoder(backend, VOCABULARY, AllowedIds(VOCABULARY, prosody()), lines)


def written(backend: Known, *cells: Cell, seed: int = 0, rhyme: str | None = None) -> TokenSequence:
    return next(iter(decoder(backend).run([TokenSequence(Plan(cells, "", rhyme=rhyme), seed)])))


def test_forced_characters_are_fed_in_order_and_cost_no_scores() -> None:
    backend = Known(CHARACTERS[9])
    row = written(backend, *(Cell(c) for c in "啊，阿。"), Cell())
    assert row.text == "啊，阿。" + CHARACTERS[9]
    assert backend.fed == [[VOCABULARY.start], *([VOCABULARY.id(c)] for c in "啊，阿。")]
    assert backend.scored == 2, "what the start says, which serves every row, and the one choice"


def test_what_stands_after_the_last_choice_is_not_read() -> None:
    backend = Known(CHARACTERS[9])
    assert written(backend, Cell("啊"), Cell(), *(Cell(c) for c in "，阿。")).text == f"啊{CHARACTERS[9]}，阿。"
    assert backend.fed == [[VOCABULARY.start], [VOCABULARY.id("啊")]]


def test_what_several_rows_begin_with_is_read_once_and_they_go_on_from_there() -> None:
    class Sums(Known):
        """The state is the sum of what was fed, and the character of that number the likeliest."""

        def step(self, ids: Ids, state: FloatArray, wanted: Ids | None = None) -> tuple[FloatArray, FloatArray]:
            scores, _ = super().step(ids, state, wanted)
            after = state + ids[:, None, None].astype(np.float32)
            own = np.arange(len(ids)) if wanted is None else wanted
            scores[np.arange(len(own)), 20 + after[own, 0, 0].astype(int) % 500] = 20.0
            return scores, after

    cells = (Cell("啊", shown=False), Cell("阿"))
    plan, backend = Plan((*cells, Cell(), Cell(), Cell("。")), ""), Sums()
    [staged] = in_stages([plan])
    assert staged == Plan((*cells, BRANCH, Cell(), Cell(), Cell("。")), "")
    begun, running = TokenSequence(staged, 0), decoder(backend)
    alone = [next(iter(running.run([TokenSequence(plan, seed)]))) for seed in range(3)]
    assert list(running.run([begun])) == [begun]
    backend.fed.clear()
    rows = list(running.run([begun.branch(staged, seed) for seed in range(3)]))
    assert [row.text for row in rows] == [row.text for row in alone]
    assert [row.likelihoods for row in rows] == [row.likelihoods for row in alone]
    assert [len(fed) for fed in backend.fed] == [3], "the first choice of each is made by what was read for all"


def test_a_hidden_character_is_fed_and_not_shown() -> None:
    backend = Known()
    row = written(backend, Cell("啊", shown=False), Cell("阿"), Cell())
    assert row.text[:1] == "阿"
    assert len(row.text) == 2
    assert [VOCABULARY.id("啊")] in backend.fed


def test_a_choice_is_what_the_model_finds_likeliest_among_what_the_cell_admits() -> None:
    level, oblique = CHARACTERS[0], CHARACTERS[1]
    assert written(Known(level + oblique), Cell(tone="平")).text == level
    assert written(Known(level + oblique), Cell(tone="仄")).text == oblique
    assert written(Known("，" + level), Cell()).text == level, "a mark is never a choice"


def test_the_first_rhyme_fixes_the_group_of_the_others() -> None:
    for seed in range(20):
        row = written(Known(), *[Cell(tone="平", rhymes=True), Cell("，")] * 4, seed=seed)
        rhymes = row.text.replace("，", "")
        assert {group for c in rhymes for group in prosody().rhymes[c]} == {row.rhyme}
        assert len(set(rhymes)) == 4


def test_a_line_of_the_corpus_is_not_completed() -> None:
    line = "".join(CHARACTERS[:5])
    cells = [*(Cell(c) for c in line[:4]), Cell(), Cell("，")]
    free = decoder(Known(line[4])).run([TokenSequence(Plan(tuple(cells), ""), 0)])
    held = decoder(Known(line[4]), LineIndex.of([line])).run([TokenSequence(Plan(tuple(cells), ""), 0)])
    assert next(free).text == line + "，"
    assert next(held).text != line + "，"
    longer = [*(Cell(c) for c in line[:4]), Cell(), Cell(), Cell("，")]
    within = decoder(Known(line[4]), LineIndex.of([line])).run([TokenSequence(Plan(tuple(longer), ""), 0)])
    assert next(within).text[:5] == line, "a longer line may begin like one of the corpus"


def test_of_several_lines_of_the_corpus_none_is_completed_though_nothing_new_is_left() -> None:
    line, likely = "".join(CHARACTERS[:4]), CHARACTERS[4:12]
    cells = (*(Cell(c) for c in line), Cell(), Cell("，"))
    lines = LineIndex.of([line + c for c in VOCABULARY.characters if c not in likely[-1] + line])
    for seed in range(5):
        row = next(iter(decoder(Known("".join(likely[:-1])), lines).run([TokenSequence(Plan(cells, ""), seed)])))
        assert row.text == line + likely[-1] + "，"
    lines = LineIndex.of([line + c for c in VOCABULARY.characters if c not in line])
    row = next(iter(decoder(Known(), lines).run([TokenSequence(Plan(cells, ""), 0)])))
    assert row.text[4] in line, "better an old word than a copy or none"


def test_a_row_draws_the_same_whoever_else_draws() -> None:
    rows = [TokenSequence(Plan((Cell(tone="平"), Cell(tone="仄"), Cell()), ""), seed) for seed in range(40)]
    alone = [next(iter(decoder(Known()).run([TokenSequence(row.plan, row.seed)]))).text for row in rows]
    list(decoder(Known()).run(rows))
    assert [row.text for row in rows] == alone
    assert len(set(alone)) == 40


def test_a_likelihood_is_the_models_own_without_mask_or_temperature() -> None:
    row = written(Known(), Cell(tone="平"), Cell("，"))
    assert row.chosen == 1
    assert log_likelihood(row) == pytest.approx(-math.log(len(VOCABULARY)), abs=1e-4)


def test_a_scored_character_counts_though_it_is_forced() -> None:
    row = written(Known(), Cell(CHARACTERS[0], scored=True), Cell("，"))
    assert (row.chosen, row.text) == (1, CHARACTERS[0] + "，")


def test_a_finished_row_gives_its_place_to_the_next_one_at_once() -> None:
    backend = Known()
    short, long = Plan((Cell("啊"), Cell()), ""), Plan((*(Cell(c) for c in CHARACTERS[:6]), Cell()), "")
    rows = [TokenSequence(long, 0), *(TokenSequence(short, i) for i in range(5))]
    assert len(list(decoder(backend).run(rows, width=2))) == 6
    assert [len(fed) for fed in backend.fed[1:]] == [2, 2, 2, 2, 2, 1]


def test_a_free_poem_never_begins_a_line_with_a_mark_and_ends_after_a_closing_one() -> None:
    for seed in range(30):
        row = written(Known("，。"), Cell("啊"), Cell("，"), Cell(free=True), seed=seed)
        assert row.text[-1] in "。？！"
        assert all(row.earlier)


def test_the_line_index_knows_its_lines_and_survives_its_bytes() -> None:
    index = LineIndex.of(["白日依山尽", "黄河入海流", "白日依山尽"])
    again = LineIndex.from_bytes(index.to_bytes())
    assert len(again) == 2
    assert "黄河入海流" in again
    assert "黄河入海" not in again
    with pytest.raises(ValueError, match="increase"):
        LineIndex.from_bytes(index.to_bytes()[8:] + index.to_bytes()[:8])


def test_what_a_seed_avoids_is_avoided_in_the_first_line_that_is_chosen_or_in_those_after_it() -> None:
    first, second = CHARACTERS[9], CHARACTERS[11]
    plan = Plan((Cell("啊"), Cell("，"), Cell(), Cell("，"), Cell(), Cell("。")), "")
    for avoided, where in ((Avoided(first), (False, True)), (Avoided("", first), (True, False))):
        avoiding = TokenSequence(plan, 0, avoided=avoided)
        list(decoder(Known(first)).run([avoiding]))
        assert (avoiding.text[2] == first, avoiding.text[4] == first) == where
    only = TokenSequence(Plan((Cell(), Cell("。")), ""), 0, avoided=Avoided("".join(CHARACTERS), "".join(CHARACTERS)))
    list(decoder(Known(second)).run([only]))
    assert only.text == f"{second}。", "where nothing else may come, it may"
