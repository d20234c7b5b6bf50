"""What a model's card says of how the model came to be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.model.vocab import PAD, START
from train.fit.run_folder import RunError

_OF_AN_ANCESTOR = ("version", "date", "made_by", "training", "perplexity", "start_symbols", "shape")

START_SYMBOLS = {"tang": START, "song": PAD}
"""On the card of a model that has learnt from Song poems too: what the poems of each dynasty begin with."""

Card = dict[str, Any]


def ancestor(card: Mapping[str, Any]) -> Card:
    """What the card of a model keeps of its parent's: how that came to be, how good it was and on which poems, and its
    own parent."""
    kept = {name: card[name] for name in _OF_AN_ANCESTOR if name in card}
    if "sha1" in card.get("corpus", {}):
        kept["corpus"] = {"sha1": card["corpus"]["sha1"]}
    if "training" in kept:
        kept["training"] = {name: value for name, value in kept["training"].items() if name != "config"}
    return {**kept, "parent": ancestor(card["parent"])} if card.get("parent") else kept


def start_symbols(song_share: float, parent: Mapping[str, Any] | None) -> Card:
    """The entry ``start_symbols`` where the model, or one that it goes on from, has learnt from Song poems."""
    known = song_share > 0 or (parent or {}).get("start_symbols")
    return {"start_symbols": START_SYMBOLS} if known else {}


def read_notes(file: Path) -> list[Card]:
    """The legs of a training outside this project, the oldest first; the last one made the weights.

    A list of ``{"made_by": a sentence, "training": {…}}``, with ``version``, ``date`` and ``perplexity`` if wanted;
    ``training.song_share`` above 0 says that the leg had Song poems.
    """
    try:
        legs = json.loads(file.read_text("utf-8"))
        if not isinstance(legs, list) or not legs:
            raise TypeError("no list")
        for leg in legs:
            if not isinstance(leg["made_by"], str) or not isinstance(leg["training"], dict):
                raise TypeError("made_by is text, training an object")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(
            f'--notes: {file} must be a list of legs like {{"made_by": "…", "training": {{…}}}}, the oldest first'
        ) from error
    return legs


def lineage(legs: Sequence[Mapping[str, Any]], base: Mapping[str, Any]) -> Card:
    """The legs as a card, each the parent of the next and the model ``base`` the parent of the first."""
    card = ancestor(base)
    for leg in legs:
        share = float(leg["training"].get("song_share") or 0)
        card = {**leg, **start_symbols(share, card), "parent": card}
    return card
