"""What ``fit`` prints at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from train.fit.run_folder import RunState, Setup


def summary(folder: Path, name: str, setup: Setup, state: RunState, loss: float, finished: bool) -> dict[str, Any]:
    """``name``: the run's name on the command line; ``loss``: the moving average that the bar shows."""
    measured = state.last("validation")
    result: dict[str, Any] = {
        "run": str(folder),
        "finished": finished,
        "step": state.step,
        "tokens": state.tokens,
        "minutes": round(state.seconds / 60, 2),
        "loss": round(loss, 3),
        "validation_perplexity": measured and round(measured, 3),
    }
    if (before := parent_perplexity(setup)) is not None:
        result["validation_perplexity_before"] = before
        if measured is not None and measured >= before:
            result["verdict"] = (
                f"not better than the model that it began with ({measured:.2f} after, {before:.2f} before; lower is "
                "better): train longer or with a lower --lr"
            )
    if not finished:
        result["go_on"] = f"python -m train fit --resume --run {name}"
    return result


def parent_perplexity(setup: Setup) -> float | None:
    """The validation perplexity of the model that a run began with, where it was measured on the same poems."""
    parent = setup.parent or {}
    if parent.get("corpus", {}).get("sha1", {}).get("validation") != setup.corpus.get("sha1", {}).get("validation"):
        return None
    measured = parent.get("perplexity", {}).get("validation")
    return float(measured) if isinstance(measured, int | float) else None
