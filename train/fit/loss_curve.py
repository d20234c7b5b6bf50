"""Draws the loss curve of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path


def draw_curve(history: Sequence[dict[str, float]], file: Path) -> None:
    """Draw training loss and validation perplexity (as nats per token) over tokens into a PNG.

    ``history``: as in ``train.fit.run_folder.RunState``. The file is replaced atomically.
    """
    from matplotlib.figure import Figure  # slow to import, and only drawing needs it

    training = [(entry["tokens"], entry["loss"]) for entry in history if "loss" in entry]
    validation = [(entry["tokens"], math.log(entry["validation"])) for entry in history if "validation" in entry]
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for points, style, label in ((training, "-", "training"), (validation, "o-", "validation")):
        if points:
            axes.plot([x for x, _ in points], [y for _, y in points], style, label=label, markersize=4)
    axes.set_xlabel("tokens")
    axes.set_ylabel("nats per token")
    axes.grid(alpha=0.3)
    if training or validation:
        axes.legend()
    fresh = file.with_name(f".{file.name}.new")
    figure.savefig(fresh, format="png", dpi=100)
    fresh.rename(file)
