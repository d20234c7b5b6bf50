from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as save_tensors

from engine.model import checkpoint
from engine.model.checkpoint import Checkpoint
from engine.model.folder import CARD, VOCABULARY, WEIGHTS, ModelFolder, ModelFolderError, read_card, read_part
from tests.support import tiny_corpus as tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "model", tiny.checkpoint(), {"extra.bin": b"more"})
    return tmp_path / "model"


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Change a part and its hash with it, as someone would who mixes two models."""
    (folder / name).write_bytes(content)
    card = json.loads((folder / CARD).read_text("utf-8"))
    card["parts"][name] = hashlib.sha256(content).hexdigest()
    (folder / CARD).write_text(json.dumps(card), "utf-8")


def test_a_saved_model_is_the_same_model(folder: Path) -> None:
    saved, read = tiny.checkpoint(), checkpoint.load(folder)
    assert (read.shape, read.vocabulary, read.version) == (saved.shape, saved.vocabulary, "tiny")
    assert all(np.array_equal(read.weights[name], weights) for name, weights in saved.weights.items())
    assert read_part(folder, "extra.bin") == b"more"


@pytest.mark.parametrize("part", [CARD, VOCABULARY, WEIGHTS, "extra.bin"])
def test_a_missing_part_is_named(folder: Path, part: str) -> None:
    (folder / part).unlink()
    with pytest.raises(ModelFolderError, match=f"lacks {part}"):
        checkpoint.load(folder)


@pytest.mark.parametrize("part", [VOCABULARY, WEIGHTS, "extra.bin"])
def test_a_part_changed_by_one_bit_is_named(folder: Path, part: str) -> None:
    content = bytearray((folder / part).read_bytes())
    content[-1] ^= 1
    (folder / part).write_bytes(content)
    with pytest.raises(ModelFolderError, match=rf"{part}.*hash"):
        checkpoint.load(folder)


def test_a_model_replaces_a_model_and_fills_an_empty_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in (folder, tmp_path / "empty"):
        checkpoint.save(place, tiny.checkpoint(seed=1))
        assert {entry.name for entry in place.iterdir()} == {CARD, VOCABULARY, WEIGHTS}


def test_a_model_is_never_written_over_anything_else(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter-1.txt").write_text("years of work", "utf-8")
    (tmp_path / "file").write_text("a file", "utf-8")
    (folder / "notes.txt").write_text("beside the model", "utf-8")
    for place, named in ((tmp_path / "thesis", "chapter-1.txt"), (tmp_path / "file", "a file"), (folder, "notes.txt")):
        with pytest.raises(ModelFolderError, match=named):
            checkpoint.save(place, tiny.checkpoint())
    assert (tmp_path / "thesis" / "chapter-1.txt").read_text("utf-8") == "years of work"
    assert (tmp_path / "file").read_text("utf-8") == "a file"
    assert (folder / "notes.txt").exists()


def test_a_vocabulary_of_another_length_is_named(folder: Path) -> None:
    rewrite(folder, VOCABULARY, json.dumps(list(tiny.CHARACTERS[:-1])).encode())
    with pytest.raises(ModelFolderError, match=r"embedding\.weight.*vocabulary\.json"):
        checkpoint.load(folder)


@pytest.mark.parametrize("content", [b"{}", b'["ab"]', b"[1]", b"nonsense", '["春", "春"]'.encode()])
def test_what_is_no_vocabulary_is_named(folder: Path, content: bytes) -> None:
    rewrite(folder, VOCABULARY, content)
    with pytest.raises(ModelFolderError, match=VOCABULARY):
        checkpoint.load(folder)


def test_a_tensor_of_another_shape_or_name_is_named(folder: Path) -> None:
    weights = tiny.checkpoint().weights
    lacking = {name: tensor for name, tensor in weights.items() if name != "lstm.1.bias"}
    for changed, named in (
        (lacking, r"lacks the tensor lstm\.1\.bias"),
        ({**weights, "lstm.1.bias": np.zeros(3, np.float32)}, r"lstm\.1\.bias has the shape \[3\]"),
        ({**weights, "attention": np.zeros(3, np.float32)}, "has the tensor attention"),
    ):
        rewrite(folder, WEIGHTS, save_tensors(changed))
        with pytest.raises(ModelFolderError, match=named):
            checkpoint.load(folder)


@pytest.mark.parametrize(
    "card",
    [
        b"",
        b"[]",
        b'{"shape": {"embedding_dim": 8}}',
        b'{"shape": {"width": 8}, "parts": {}}',
        b'{"shape": {"hidden_dim": -1}, "parts": {"weights.safetensors": "", "vocabulary.json": ""}}',
        b'{"shape": {}, "parts": {"weights.safetensors": ""}}',
        b'{"shape": {}, "parts": {"weights.safetensors": "", "vocabulary.json": "", "../../passwords": ""}}',
    ],
)
def test_what_is_no_card_is_named(folder: Path, card: bytes) -> None:
    (folder / CARD).write_bytes(card)
    with pytest.raises(ModelFolderError, match=CARD):
        checkpoint.load(folder)


def test_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="no model folder"):
        checkpoint.load(tmp_path / "nothing")


def test_weights_that_do_not_fit_are_not_saved(tmp_path: Path) -> None:
    model = tiny.checkpoint()
    too_large = {**model.weights, "output.bias": model.weights["output.bias"] + 1e6}
    with pytest.raises(ValueError, match=r"output\.bias"):
        checkpoint.save(tmp_path / "model", Checkpoint(model.shape, model.vocabulary, too_large))
    assert not (tmp_path / "model").exists()


def test_a_part_is_added_and_the_others_stay(folder: Path) -> None:
    checkpoint.save(folder, checkpoint.load(folder), {"extra.bin": b"more", "prosody.json": b"{}"})
    assert read_part(folder, "prosody.json") == b"{}"
    assert read_part(folder, "extra.bin") == b"more"
    assert checkpoint.load(folder).version == "tiny"
    with pytest.raises(ModelFolderError, match=r"names no decoder\.onnx"):
        read_part(folder, "decoder.onnx")


def test_a_replaced_folder_leaves_nothing_beside_it(folder: Path) -> None:
    checkpoint.save(folder, tiny.checkpoint(seed=1))
    assert np.array_equal(
        checkpoint.load(folder).weights["output.bias"], tiny.checkpoint(seed=1).weights["output.bias"]
    )
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_save_killed_at_any_moment_leaves_a_whole_model(folder: Path) -> None:
    endless = (
        "import itertools, pathlib, sys\nfrom engine.model import checkpoint\n"
        "from tests.support import tiny_corpus as tiny\n"
        "for seed in itertools.count():\n    checkpoint.save(pathlib.Path(sys.argv[1]), tiny.checkpoint(seed=seed))"
    )
    for delay in (0.0, 0.003, 0.007):
        with subprocess.Popen([sys.executable, "-c", endless, str(folder)]) as process:
            fresh = folder.with_name(".model.new")
            while not fresh.exists():
                assert process.poll() is None
            time.sleep(delay)
            process.kill()
        # killed between the two renames, the old version is left under the name that the docstring says
        left = folder if folder.exists() else folder.with_name(".model.old")
        checkpoint.load(left)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_finite_numbers_are_named(folder: Path, value: float) -> None:
    weights = tiny.checkpoint().weights
    weights["lstm.1.bias"][0] = value
    rewrite(folder, WEIGHTS, save_tensors(weights))
    with pytest.raises(ModelFolderError, match=r"lstm\.1\.bias has values that are not finite numbers"):
        checkpoint.load(folder)


@pytest.mark.parametrize("size", ["num_layers", "hidden_dim", "embedding_dim"])
def test_a_model_beyond_all_bounds_is_refused_before_memory_is_taken(folder: Path, size: str) -> None:
    card = json.loads((folder / CARD).read_text("utf-8"))
    card["shape"][size] = 10**9
    (folder / CARD).write_text(json.dumps(card), "utf-8")
    tracemalloc.start()
    with pytest.raises(ModelFolderError, match=f"'{size}' in 'shape'"):
        checkpoint.load(folder)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


@pytest.mark.parametrize("part", [CARD, VOCABULARY, WEIGHTS])
def test_a_part_that_never_ends_is_refused(folder: Path, part: str) -> None:
    (folder / part).unlink()
    os.mkfifo(folder / part)
    with pytest.raises(ModelFolderError, match=rf"{part} is not a regular file"):
        checkpoint.load(folder)


def test_parts_that_are_too_large_together_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [(folder / name).stat().st_size for name in read_card(folder)["parts"]]
    monkeypatch.setattr("engine.model.folder.MAX_FOLDER_BYTES", sum(sizes))
    checkpoint.load(folder)
    monkeypatch.setattr("engine.model.folder.MAX_FOLDER_BYTES", sum(sizes) - 1)
    with pytest.raises(ModelFolderError, match="has more than"):
        checkpoint.load(folder)


def test_a_folder_replaced_while_it_is_read_is_the_old_one_or_the_new_one(folder: Path) -> None:
    models = {f"tiny-{seed}": replace(tiny.checkpoint(seed=seed), card={"version": f"tiny-{seed}"}) for seed in (1, 2)}
    checkpoint.save(folder, models["tiny-1"], {"extra.bin": b"tiny-1"})
    stop = threading.Event()

    def swap() -> None:
        for version in itertools.cycle(models):
            if stop.is_set():
                return
            checkpoint.save(folder, models[version], {"extra.bin": version.encode()})

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(200):
            read = ModelFolder.read(folder)
            version = read.card["version"]
            assert read.part("extra.bin") == version.encode()
            assert np.array_equal(checkpoint.load(read).weights["output.bias"], models[version].weights["output.bias"])
    finally:
        stop.set()
        swapping.join()
