"""The worker's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from engine.contract.poem import MAX_CANDIDATES
from engine.contract.settings import Settings


class EngineSettings(Settings):
    """``model_dir`` None: the released model. ``threads`` None: the backend chooses."""

    model_dir: Path | None = None
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    candidates: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = 8
