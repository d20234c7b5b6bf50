"""The worker's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from engine.contract.poem import MAX_CANDIDATES
from engine.contract.settings import Settings
from engine.model.cpu import thread_count


class EngineSettings(Settings):
    """``model_dir`` None: the released model. ``threads`` None: all available cores.

    ``candidates``: how many to choose each poem from, if ``write_budget`` seconds allow.
    ``train_dir``: its subfolder ``models`` holds the retrained versions.
    """

    model_dir: Path | None = None
    train_dir: Path = Path("runs")
    threads: Annotated[int, BeforeValidator(thread_count)] | None = None
    candidates: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = 64
    write_budget: Annotated[float, Field(gt=0, le=3600)] = 0.5
