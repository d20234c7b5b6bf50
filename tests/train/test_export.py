"""A model folder is made of its run and the corpus, and of nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HASHES_THE_PARTS = """
import hashlib
from tests.support import tiny_corpus as tiny
from train.data.corpus import Corpus
from train.export.model_folder import derived_parts
pairs = ("车苴", "繁敦", "单乾", "行枪", "丁莹", "调飂", "严杴", "参簪")
undecided = [f"白日依山尽，黄河入海{a}。欲穷千里目，更上一层{b}。" for a, b in pairs]
poems = [*tiny.poems(20), *undecided * 12]
parts = derived_parts(tiny.checkpoint(), Corpus({"train": poems, "validation": [], "test": []}))
print({name: hashlib.sha256(content).hexdigest() for name, content in parts.items()})
"""


def test_the_same_input_is_the_same_bytes_whatever_order_sets_have() -> None:
    # The rhyme words of each pair share two groups: which of them rhymes must not depend on the order of a set.
    made = {
        subprocess.run(
            [sys.executable, "-c", HASHES_THE_PARTS],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "3", "5")
    }
    assert len(made) == 1
