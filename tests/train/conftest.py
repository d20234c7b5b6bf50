"""What tests of training share: a prepared corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import tiny_corpus
from train.data import corpus as corpora


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TRAIN_DIR with a prepared corpus."""
    return tiny_corpus.prepared(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def corpus(home: Path) -> corpora.Corpus:
    return corpora.load_corpus(home / "corpus")
