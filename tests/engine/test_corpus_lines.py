"""The compact sets of texts."""

from __future__ import annotations

from engine.generation.corpus_lines import MIN_ENDING_LINES, common_endings


def test_an_ending_is_common_if_enough_lines_have_it_whatever_precedes_it() -> None:
    lines = [f"{first}来风月" for first in "山水春秋"[:MIN_ENDING_LINES]] + ["山来风"] * (MIN_ENDING_LINES - 1)
    endings = common_endings(lines)
    assert "来风月" in endings
    assert "山来风" not in endings
    assert len(endings) == 1
