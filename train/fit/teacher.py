"""The teacher of a run: a model whose distribution the run learns beside the text."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from engine.model import checkpoint
from engine.model.checkpoint import Checkpoint
from engine.model.folder import WEIGHTS, ModelFolderError
from engine.model.vocab import Vocabulary
from train.fit.run_folder import RunError, Setup


def find_teacher(folder: Path, vocabulary: Vocabulary) -> Checkpoint:
    """The model in a folder, if it can teach a run with this vocabulary."""
    try:
        teacher = checkpoint.load(folder)
    except ModelFolderError as error:
        raise ModelFolderError(
            f"--teacher: {error}; a run needs its teacher's model folder (made by python -m train export) from its "
            "first step to its last"
        ) from error
    if teacher.vocabulary != vocabulary:
        raise RunError(
            f"--teacher: {folder} has another vocabulary ({len(teacher.vocabulary)} ids) than this run "
            f"({len(vocabulary)} ids); teacher and run must be trained on the same prepared corpus"
        )
    return teacher


def teacher_identity(teacher: Checkpoint) -> dict[str, Any]:
    """Which model it is: its version, shape and the hash of its weights."""
    shape = dataclasses.asdict(teacher.shape)
    return {"version": teacher.version, "shape": shape, "sha256": teacher.card["parts"][WEIGHTS]}


def teacher_of(setup: Setup) -> Checkpoint | None:
    """The teacher that a run was started with, if any. RunError: its folder has another model now."""
    if not setup.config.teacher:
        return None
    teacher = find_teacher(Path(setup.config.teacher), setup.vocabulary)
    if setup.teacher is not None and teacher_identity(teacher) != setup.teacher:
        raise RunError(
            f"--teacher: {setup.config.teacher} now has the model {teacher.version}, and this run was started with "
            f"another, {setup.teacher['version']}; put that one back, or start another run"
        )
    return teacher
