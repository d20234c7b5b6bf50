"""Compares two models on the same poems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.generation.poet import Poet
from engine.model import checkpoint
from engine.model.paddle_runtime import DeviceChoice
from train.data.corpus import Corpus
from train.evaluation.report import EVALUATED_FORMS, EVALUATION_CANDIDATES, EvalContext, measure_form, write_poems
from train.evaluation.rhyme_and_tone import RhymeToneTable
from train.export.model_folder import held_out_perplexities

MEASURES = ("rhyme", "tone", "attested_words", "coherence")
"""Metrics of poems; the first two are shares of poems."""
SEED = 1


def measure_model(
    folder: Path, corpus: Corpus, poems: int, device: DeviceChoice, threads: int | None
) -> dict[str, float]:
    """Perplexities of a model folder, and mean metrics over ``poems`` poems per form by its decoder."""
    model = checkpoint.load(folder)
    metrics = {f"perplexity, {split}": number for split, number in held_out_perplexities(model, corpus, device).items()}
    poet = Poet.load(folder, device, threads, EVALUATION_CANDIDATES)
    context = EvalContext.of(corpus, RhymeToneTable.of(poet.prosody), poems, SEED)
    rows = []
    for form, (length, _) in EVALUATED_FORMS.items():
        openings, people = context.openings(length), context.human(form)
        if openings and people:  # a small corpus may have no poem of a form
            rows.append(measure_form(form, write_poems(poet, openings, form, SEED), 1, people, poet, context))
    if rows:
        metrics |= {name: round(sum(row[name] for row in rows) / len(rows), 3) for name in MEASURES}
    return metrics


def comparison_table(before: Mapping[str, float], after: Mapping[str, float]) -> list[list[Any]]:
    """Rows of name, before, after."""
    return [[name, before.get(name), after.get(name)] for name in after]
