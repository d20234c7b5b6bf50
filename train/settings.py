"""The trainer's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from engine.settings import EngineSettings


class TrainSettings(EngineSettings):
    """``own_poems_dir``: folder with the operator's own poems, if any; ``model_keep``: retrained versions to keep."""

    own_poems_dir: Path | None = None
    model_keep: Annotated[int, Field(ge=1)] = 5
