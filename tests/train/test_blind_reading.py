"""Pairs for blind reading, and the score of a reader's answers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.contract import Poem, PoemRequest
from engine.contract.text import clauses
from tests.support import tiny_corpus as tiny
from train.__main__ import main
from train.data.corpus import Corpus
from train.evaluation.blind_reading import BlindReadingError, Side, score_answers, write_pairs

MARKS = {"fluency": 3, "coherence": 2, "meaning": 2, "poetry": 3}


class StubPoet:
    """Writes the opening and then its own name; notes what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[PoemRequest] = []

    def write(self, requests: Sequence[PoemRequest]) -> list[Poem]:
        self.asked += requests
        return [
            Poem("continue", f"{r.text}，\n{self.name}。", (r.text, self.name), "五绝", r.seed or 0, 1, "m")
            for r in requests
        ]


def side(name: str, candidates: int = 64) -> tuple[Side, StubPoet]:
    writer = StubPoet(name)
    return Side(writer, candidates), writer  # type: ignore[arg-type]


def corpus(count: int = 40) -> Corpus:
    poems = tiny.poems(count)
    return Corpus({"train": poems[:1], "validation": poems[1 : count // 2], "test": poems[count // 2 :]})


def read_pairs(folder: Path) -> dict[str, dict[str, str]]:
    found = re.findall(r"## (\d+) · 五绝\nA: (.+)\nB: (.+)\n", (folder / "pairs.md").read_text("utf-8"))
    return {number: {"A": a, "B": b} for number, a, b in found}


def judge(folder: Path, verdicts: list[dict[str, Any]], name: str = "judge1.json") -> None:
    (folder / name).write_text(json.dumps(verdicts), "utf-8")


def test_a_pair_is_a_held_out_poem_and_ours_from_its_first_line(tmp_path: Path) -> None:
    ours, writer = side("机")
    assert write_pairs(tmp_path / "p", corpus(), ours, None, 30, 7, lambda _: None) == 30
    pairs, key = read_pairs(tmp_path / "p"), json.loads((tmp_path / "p" / "key.json").read_text())
    assert pairs.keys() == key.keys()
    held_out = {poem for split in ("validation", "test") for poem in corpus().poems[split]}
    for number, pair in pairs.items():
        machine, poet = pair[key[number]], pair["AB"[key[number] == "A"]]
        assert poet in held_out
        assert machine == f"{clauses(poet)[0]}，机。"
    assert 5 < list(key.values()).count("A") < 25, "the sides change places"
    assert {request.candidates for request in writer.asked} == {64}
    assert sorted(request.seed or 0 for request in writer.asked) == list(range(7001, 7031))
    assert "key" not in (tmp_path / "p" / "task.md").read_text("utf-8")


def test_a_poem_with_a_slip_of_the_corpus_is_not_read(tmp_path: Path) -> None:
    poems = tiny.poems(8)
    slips = [f"{poem}。" for poem in poems[1:5]]
    found = Corpus({"train": poems[:1], "validation": slips, "test": poems[5:]})
    assert write_pairs(tmp_path / "p", found, side("机")[0], None, 30, 1, lambda _: None) == 3


def test_the_same_seed_makes_the_same_pairs_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_pairs(tmp_path / name, corpus(), side("机")[0], None, 8, seed, lambda _: None)
    texts = [(tmp_path / name / "pairs.md").read_text("utf-8") for name in "abc"]
    assert texts[0] == texts[1] != texts[2]


def test_in_a_duel_both_sides_write_from_the_same_line_with_the_same_seed(tmp_path: Path) -> None:
    (ours, first), (other, second) = side("新", 64), side("旧", 8)
    write_pairs(tmp_path / "d", corpus(), ours, other, 6, 3, lambda _: None)
    key = json.loads((tmp_path / "d" / "key.json").read_text())
    assert all("新" in pair[key[number]] for number, pair in read_pairs(tmp_path / "d").items())
    assert [(r.text, r.seed) for r in first.asked] == [(r.text, r.seed) for r in second.asked]
    assert {r.candidates for r in second.asked} == {8}


def test_pairs_that_are_being_read_are_not_overwritten(tmp_path: Path) -> None:
    write_pairs(tmp_path, corpus(), side("机")[0], None, 2, 1, lambda _: None)
    with pytest.raises(BlindReadingError, match="another folder"):
        write_pairs(tmp_path, corpus(), side("机")[0], None, 2, 2, lambda _: None)


def test_wins_and_marks_are_counted_by_side(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text('{"1": "A", "2": "B", "3": "B"}')
    good = {name: mark + 1 for name, mark in MARKS.items()}
    judge(tmp_path, [{"n": 1, "A": good, "B": MARKS, "better": "A"}, {"n": 2, "A": MARKS, "B": MARKS, "better": "="}])
    judge(tmp_path, [{"n": 3, "A": MARKS, "B": good, "better": "A"}], "judge2.json")
    assert score_answers(tmp_path) == {
        "wins": {"1": 1, "2": 1, "=": 1},
        "share_of_decided": 0.5,
        "side 1": {name: float(mark) for name, mark in MARKS.items()},
        "side 2": {name: round(mark + 2 / 3, 2) for name, mark in MARKS.items()},
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 9, "A": MARKS, "B": MARKS, "better": "A"},
        {"n": 1, "A": MARKS, "B": MARKS, "better": "C"},
        {"n": 1, "A": {**MARKS, "poetry": 6}, "B": MARKS, "better": "A"},
        {"n": 1, "A": MARKS, "better": "A"},
    ],
)
def test_a_verdict_that_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any]
) -> None:
    (tmp_path / "key.json").write_text('{"1": "A"}')
    judge(tmp_path, [wrong])
    assert main(["evaluate", "--score", str(tmp_path)], {}) == 2
    said = capsys.readouterr().err
    assert "judge1.json is not what task.md asks for" in said
    assert said.count("\n") == 1
