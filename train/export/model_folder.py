"""Turns a run, or weights trained elsewhere, into a model folder."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from engine.contract.text import clauses
from engine.generation.associations import Associations
from engine.generation.corpus_lines import LineIndex, common_endings
from engine.generation.poet import ASSOCIATIONS, ENDINGS, LINES, PREFERENCE, PROSODY
from engine.model import checkpoint
from engine.model.checkpoint import Checkpoint, FloatArray
from engine.model.folder import ModelFolder, ModelFolderError
from engine.model.onnx_backend import DECODER, OnnxBackend
from engine.model.paddle_runtime import DeviceChoice, choose_device
from train.data.corpus import Corpus, load_corpus
from train.data.corpus import manifest as read_manifest
from train.data.prosody_table import compile_prosody
from train.evaluation.perplexity import backend_nats, missing_types, model_nats, perplexity
from train.export.card import ancestor, read_notes, stages_card, start_symbols
from train.export.onnx_decoder import build_decoder
from train.fit.config import TrainConfig
from train.fit.run_folder import Run, RunError
from train.readers.marks import MarkedPoem, knows, read_marks
from train.readers.preference import preference_part

MAX_DECODER_RATIO = 1.01
"""Maximum ratio of the CPU decoder's perplexity to the model's."""
SPLIT_RULE = "int(sha1(poem), 16) % 100 of the cleaned poem with its marks: 0 test, 1 validation, the rest training"


def export_run(run: Run, corpus: Corpus, out: Path, version: str = "", device: DeviceChoice = "auto") -> dict[str, Any]:
    """Write the newest checkpoint of ``run`` as a model folder and return its card.

    The card's perplexities are those of the weights as stored, in float16. RunError: the run has no intact checkpoint,
    or ``out`` exists and is not a model folder.
    """
    _check_replaceable(out)
    setup, kept = run.setup(), run.newest()
    if kept is None:
        raise RunError(f"{run.folder} has no checkpoint yet; train it further with: python -m train fit --resume")
    state, weights, _ = kept
    model = Checkpoint(setup.config.shape, setup.vocabulary, _as_stored(weights))
    facts = {
        "training": {
            "epochs": round(state.tokens / max(1, tokens_per_epoch(setup.config.maxlen, corpus)), 3),
            "steps": state.step,
            "tokens": state.tokens,
            "minutes": round(state.seconds / 60, 1),
            "config": _without_paths(setup.config),
            **({"teacher": setup.teacher} if setup.teacher else {}),
        },
        **start_symbols(setup.config.song_share, setup.parent),
        "parent": setup.parent,
    }
    version = version or f"{run.folder.name}-{_today()}-{state.step}"
    return _measure_and_save(model, version, setup.corpus, facts, corpus, out, device)


def export_weights(
    file: Path,
    base: Path,
    notes: Path,
    corpus_folder: Path,
    out: Path,
    version: str = "",
    device: DeviceChoice = "auto",
) -> dict[str, Any]:
    """Write weights that were trained outside this project as a model folder and return its card.

    ``file``: safetensors with the names and shapes of the model folder ``base`` that training started from, whose
    vocabulary is kept; ``notes``: how they were trained (``train.export.card.read_notes``).
    """
    _check_replaceable(out)
    origin = checkpoint.load(base)
    card = stages_card(read_notes(notes), origin.card)
    try:
        weights = {name: tensor.astype(np.float32) for name, tensor in load_file(file).items()}
        checkpoint.check_weights(origin.shape, len(origin.vocabulary), weights)
    except (OSError, ValueError, SafetensorError, ModelFolderError) as error:
        raise RunError(f"{file} does not have weights with the names and shapes of {base}: {error}") from error
    model = Checkpoint(origin.shape, origin.vocabulary, _as_stored(weights))
    song = "start_symbols" in card
    corpus, manifest = load_corpus(corpus_folder, song), read_manifest(corpus_folder, song)
    facts = {name: value for name, value in card.items() if name not in ("version", "date", "perplexity")}
    version = version or str(card.get("version") or file.stem)
    return _measure_and_save(model, version, manifest, facts, corpus, out, device)


def export_aligned(
    base: Path,
    poems: Sequence[MarkedPoem],
    align: Callable[[Checkpoint, Sequence[MarkedPoem]], tuple[dict[str, FloatArray], dict[str, Any]]],
    corpus: Corpus,
    manifest: dict[str, Any],
    out: Path,
    version: str,
    device: DeviceChoice = "auto",
    skip: int = 0,
) -> dict[str, Any]:
    """Write the model in ``base``, aligned with marked ``poems``, as a model folder and return its card.

    ``align``: returns the new weights and what the card says of their training, given the model and the poems that are
    new to it; called after all that can be checked before. ``corpus``: what the parts are derived from and the model is
    measured on; ``manifest``: of the corpus, for the card. The preference is learned from the poems as ``base`` reads
    them: to the aligned weights, which have been trained on them, they are not new. Nor are the first ``skip`` to
    ``base``, which was aligned with them before: its preference is corrected by the others alone.
    """
    _check_replaceable(out)
    stored = ModelFolder.read(base)
    origin = checkpoint.load(stored)
    parent = ancestor(origin.card)
    preference = preference_part(origin, stored.parts, poems, skip)
    weights, training = align(origin, poems[skip:])
    facts = {"training": training, **start_symbols(0, parent), "parent": parent}
    model = dataclasses.replace(origin, weights=_as_stored(weights))
    return _measure_and_save(model, version, manifest, facts, corpus, out, device, preference)


def _check_replaceable(out: Path) -> None:
    try:
        checkpoint.check_replaceable(out)  # before measuring, which takes minutes
    except ModelFolderError as error:
        raise RunError(f"--out: {error}") from error


def _as_stored(weights: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """In float32, rounded to float16."""
    with np.errstate(over="ignore"):
        stored = {name: tensor.astype(np.float16).astype(np.float32) for name, tensor in weights.items()}
    if diverged := [name for name, tensor in stored.items() if not np.isfinite(tensor).all()]:
        raise RunError(
            f"the weights diverged ({diverged[0]}), so the training failed; train again with a lower --lr or a --clip"
        )
    return stored


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _measure_and_save(
    model: Checkpoint,
    version: str,
    manifest: dict[str, Any],
    facts: dict[str, Any],
    corpus: Corpus,
    out: Path,
    device: DeviceChoice,
    preference: tuple[bytes, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Measure the model and write it, with ``facts`` and the standard entries on its card.

    ``preference``: the part and its entry on the card; by default learned from the marks of this project.
    """
    card: dict[str, Any] = {
        "version": version,
        "date": _today(),
        "corpus": manifest,
        "split": SPLIT_RULE,
        "vocabulary": len(model.vocabulary),
        "perplexity": held_out_perplexities(model, corpus, device),
        **facts,
    }
    parts = derived_parts(model, corpus)
    card["perplexity"]["test_int8"] = decoder_perplexity(parts[DECODER], model, corpus)
    if card["perplexity"]["test_int8"] > MAX_DECODER_RATIO * card["perplexity"]["test"]:
        raise RunError(f"the CPU decoder is too much worse than the model: perplexity {card['perplexity']}")
    if preference is None and knows(model.vocabulary, marked := read_marks()):
        preference = preference_part(model, parts, marked)
    if preference is not None:
        parts[PREFERENCE], card["preference"] = preference
    checkpoint.save(out, dataclasses.replace(model, card=card), parts)
    return checkpoint.load(out).card


def derived_parts(model: Checkpoint, corpus: Corpus) -> dict[str, bytes]:
    """What serving needs besides the weights: CPU decoder, prosody table, index of corpus lines, associations, common
    endings of lines."""
    lines = [line for poems in corpus.poems.values() for poem in poems for line in clauses(poem)]
    training = [*corpus.poems["train"], *corpus.song]
    return {
        DECODER: build_decoder(model),
        PROSODY: compile_prosody(corpus.poems["train"]).to_bytes(),
        LINES: LineIndex.of(lines).to_bytes(),
        ASSOCIATIONS: Associations.of(training).to_bytes(),
        ENDINGS: common_endings(line for poem in training for line in clauses(poem)).to_bytes(),
    }


def decoder_perplexity(decoder: bytes, model: Checkpoint, corpus: Corpus) -> float:
    """The CPU decoder's perplexity on the test poems."""
    nats = backend_nats(OnnxBackend(decoder, model), model.vocabulary.pad)
    missing = missing_types(corpus, model.vocabulary)
    return round(perplexity(nats, model.vocabulary, held_out(corpus, "test"), missing), 3)


def held_out_perplexities(model: Checkpoint, corpus: Corpus, device: DeviceChoice) -> dict[str, float]:
    """Perplexity on the validation and test poems, by split."""
    from engine.model.lstm import PoemLSTM, paddle

    choose_device(device, paddle)
    network = PoemLSTM(len(model.vocabulary), model.shape, initialisation="default")
    network.load_weights(model.weights)
    network.eval()
    nats, missing = model_nats(network, model.vocabulary.pad), missing_types(corpus, model.vocabulary)
    return {
        split: round(perplexity(nats, model.vocabulary, held_out(corpus, split), missing), 3)
        for split in ("validation", "test")
    }


def _without_paths(config: TrainConfig) -> dict[str, Any]:
    """The settings with folder names instead of paths, since the card is published."""
    settings = config.to_json()
    paths = ("data_path", "model_path", "model_prefix", "teacher")
    return {**settings, **{name: Path(settings[name]).name for name in paths}}


def held_out(corpus: Corpus, split: str) -> list[str]:
    """The poems of a split, or the training poems if the corpus is too small to have any."""
    return corpus.poems[split] or corpus.poems["train"]


def tokens_per_epoch(maxlen: int, corpus: Corpus) -> int:
    """The number of targets in one pass over the training poems: characters after truncation, and end symbols."""
    return sum(min(len(poem) + 2, maxlen) - 1 for poem in corpus.poems["train"])
