"""The worker's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from engine.contract.poem import MAX_CANDIDATES
from engine.contract.settings import Settings


class EngineSettings(Settings):
    """``model_dir`` None: the released model. ``threads`` None: the backend chooses.

    ``train_dir``: below it, in ``models``, lie the versions that retraining made.
    """

    model_dir: Path | None = None
    train_dir: Path = Path("runs")
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    candidates: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = 8
