"""Paths and tests that the documentation names must exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
_PATH = re.compile(r"`((?:bot|engine|train|tests|docs)/[\w./-]+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_path_that_a_document_names_is_there(document: Path) -> None:
    assert [path for path in _PATH.findall(document.read_text("utf-8")) if not (ROOT / path).exists()] == []


_TEST = re.compile(r"`(test_\w+\.py)`(?: \(((?:`…\w+…?`(?:, )?)+)\))?")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_test_that_a_document_names_is_there(document: Path) -> None:
    files = {file.name: file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py")}
    for name, cited in _TEST.findall(document.read_text("utf-8")):
        assert name in files
        for part in re.findall(r"…(\w+)", cited):
            assert re.search(rf"def test_\w*{part}", files[name]), (name, part)
