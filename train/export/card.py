"""The part of a model's card that describes how the model was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.model.vocab import PAD, START
from train.fit.run_folder import RunError

_ANCESTOR_FIELDS = ("version", "date", "made_by", "training", "perplexity", "start_symbols", "shape")

START_SYMBOLS = {"tang": START, "song": PAD}
"""On the card of a model that was also trained on Song poems: the start symbol of each dynasty's poems."""

ModelCard = dict[str, Any]


def ancestor(card: Mapping[str, Any]) -> ModelCard:
    """What a card records of its parent: how it was trained, its perplexity and on which poems, and its own parent."""
    kept = {name: card[name] for name in _ANCESTOR_FIELDS if name in card}
    if "sha1" in card.get("corpus", {}):
        kept["corpus"] = {"sha1": card["corpus"]["sha1"]}
    if "training" in kept:
        kept["training"] = {name: value for name, value in kept["training"].items() if name != "config"}
    return {**kept, "parent": ancestor(card["parent"])} if card.get("parent") else kept


def is_aligned(card: Mapping[str, Any]) -> bool:
    """Whether the model was aligned with readers' marks in its last stage of training."""
    return "aligned_with_marks" in (card.get("training") or {})


def start_symbols(song_share: float, parent: Mapping[str, Any] | None) -> ModelCard:
    """The entry ``start_symbols`` if the model, or one of its ancestors, was trained on Song poems."""
    known = song_share > 0 or (parent or {}).get("start_symbols")
    return {"start_symbols": START_SYMBOLS} if known else {}


def read_notes(file: Path) -> list[ModelCard]:
    """The stages of a training outside this project, oldest first; the last one produced the weights.

    A list of ``{"made_by": a sentence, "training": {…}}``, optionally with ``version``, ``date`` and ``perplexity``;
    ``training.song_share`` above 0 means that the stage used Song poems.
    """
    try:
        stages = json.loads(file.read_text("utf-8"))
        if not isinstance(stages, list) or not stages:
            raise TypeError("not a list")
        for stage in stages:
            if not isinstance(stage["made_by"], str) or not isinstance(stage["training"], dict):
                raise TypeError("made_by is text, training an object")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(
            f'--notes: {file} must be a list of stages like {{"made_by": "…", "training": {{…}}}}, oldest first'
        ) from error
    return stages


def stages_card(stages: Sequence[Mapping[str, Any]], base: Mapping[str, Any]) -> ModelCard:
    """The stages as one card: each is the parent of the next, and the model ``base`` is the parent of the first."""
    card = ancestor(base)
    for stage in stages:
        share = float(stage["training"].get("song_share") or 0)
        card = {**stage, **start_symbols(share, card), "parent": card}
    return card
