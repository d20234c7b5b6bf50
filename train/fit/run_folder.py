"""A run's folder: its settings, and checkpoints that survive a kill at any moment.

``run.json`` (settings, corpus, parent), ``vocabulary.json``, ``loss.png`` and ``checkpoints/step-N/`` with
``weights.safetensors``, ``optimizer.safetensors`` (both float32) and ``state.json``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from engine.contract.lock import HeldError, locked
from engine.model.checkpoint import FloatArray, json_file, sync_folder, write_durably
from engine.model.vocab import Vocabulary
from train.data.batches import Position
from train.fit.config import TrainConfig

log = logging.getLogger("train.fit")

KEPT_CHECKPOINTS = 2
"""The newest checkpoint, and the one before in case the newest is damaged."""

_WEIGHTS, _OPTIMIZER, _STATE = "weights.safetensors", "optimizer.safetensors", "state.json"

Tensors = dict[str, FloatArray]


class RunError(Exception):
    """A run's folder that cannot be used as requested; the message says what to do."""


@dataclass
class RunState:
    """A run's state. ``tokens``: targets trained on; ``seconds``: time spent; ``history``: its log.

    A history entry has ``step``, ``tokens`` and ``loss`` (mean nats since the last one) or
    ``validation`` (perplexity).
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    position: Position = field(default_factory=Position)
    history: list[dict[str, float]] = field(default_factory=list)

    def last(self, what: str) -> float | None:
        """The newest ``loss`` or ``validation``."""
        return next((entry[what] for entry in reversed(self.history) if what in entry), None)


@dataclass(frozen=True)
class Setup:
    """What a run was started with.

    ``corpus``: its manifest; ``parent``: the card of the model it started from; ``teacher``: which model teaches it
    (``train.fit.teacher.teacher_identity``).
    """

    config: TrainConfig
    vocabulary: Vocabulary
    corpus: dict[str, Any]
    parent: dict[str, Any] | None = None
    teacher: dict[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    folder: Path

    @classmethod
    def create(cls, folder: Path, setup: Setup) -> Self:
        """Create a run. RunError: there is one already."""
        run = cls(folder)
        if (folder / "run.json").exists():
            raise RunError(f"there is already a run in {folder}; continue it with --resume, or name another with --run")
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / "vocabulary.json", json_file(setup.vocabulary.characters, indent=1))
        others = {"corpus": setup.corpus, "parent": setup.parent, "teacher": setup.teacher}
        settings = {"config": setup.config.to_json(), **others}
        write_durably(folder / ".run.json.new", json_file(settings, indent=1))
        (folder / ".run.json.new").rename(folder / "run.json")
        sync_folder(folder)
        return run

    def setup(self) -> Setup:
        try:
            settings = json.loads((self.folder / "run.json").read_text("utf-8"))
            characters = json.loads((self.folder / "vocabulary.json").read_text("utf-8"))
            config = TrainConfig.from_json(settings["config"])
            others = (settings["corpus"], settings["parent"], settings.get("teacher"))
            return Setup(config, Vocabulary(tuple(characters)), *others)
        except FileNotFoundError as error:
            raise RunError(f"there is no run in {self.folder}; start one with: python -m train fit") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self.folder} has no run that this version can read: {error}") from error

    def save(self, state: RunState, weights: Tensors, optimizer: Tensors) -> None:
        """Write a checkpoint: it is complete and on disk before an older one is deleted."""
        files = {_WEIGHTS: save_tensors(weights), _OPTIMIZER: save_tensors(optimizer)}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        place = self._checkpoints / f"step-{state.step:09d}"
        fresh = self._checkpoints / f".{place.name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        files[_STATE] = json_file({**dataclasses.asdict(state), "sha256": hashes}, indent=1)
        for name, content in files.items():
            write_durably(fresh / name, content)
        sync_folder(fresh)
        shutil.rmtree(place, ignore_errors=True)  # the same step may be saved again at the end of a run
        fresh.rename(place)
        sync_folder(self._checkpoints)
        for old in [*self._newest_first()[KEPT_CHECKPOINTS:], *self._checkpoints.glob(".step-*.new")]:
            shutil.rmtree(old, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The lock of the process that trains the run. RunError: another process has it."""
        try:
            with locked(self.folder / ".lock"):
                yield
        except HeldError as error:
            raise RunError(
                f"process {error.holder} is training the run in {self.folder}; wait for it or stop it, or start "
                "another run"
            ) from error

    def newest(self) -> tuple[RunState, Tensors, Tensors] | None:
        """State, weights and optimiser of the newest intact checkpoint; None if there is no checkpoint.

        RunError: there are checkpoints, but all are damaged.
        """
        damaged = []
        for place in self._newest_first():
            try:
                kept = _read_checkpoint(place)
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                damaged.append(f"{place.name} ({_damage(error)})")
                continue  # try the one before
            if damaged:
                log.warning("skipped damaged checkpoints in %s: %s", self._checkpoints, "; ".join(damaged))
            return kept
        if damaged:
            raise RunError(
                f"every checkpoint in {self._checkpoints} is damaged: {'; '.join(damaged)}; restore a copy, or start "
                "another run"
            )
        return None

    def newest_step(self) -> int | None:
        """The step of the newest checkpoint, without reading it."""
        return next((int(place.name.removeprefix("step-")) for place in self._newest_first()), None)

    @property
    def _checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def _newest_first(self) -> list[Path]:
        return sorted(self._checkpoints.glob("step-*"), reverse=True)


class _NotWrittenError(ValueError):
    """The named file differs from what was written."""


def _damage(error: Exception) -> str:
    """Why a checkpoint cannot be read."""
    if isinstance(error, _NotWrittenError):
        return f"{error} is not what was written"
    if isinstance(error, OSError):
        return f"{Path(error.filename or '').name}: {error.strerror or error}"
    return f"{_STATE} cannot be read"


def _read_checkpoint(place: Path) -> tuple[RunState, Tensors, Tensors]:
    state: Mapping[str, Any] = json.loads((place / _STATE).read_text("utf-8"))
    tensors = []
    for name in (_WEIGHTS, _OPTIMIZER):
        content = (place / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != state["sha256"][name]:
            raise _NotWrittenError(name)
        tensors.append(load_tensors(content))
    fields = {f.name: state[f.name] for f in dataclasses.fields(RunState)}
    return RunState(**{**fields, "position": Position(**state["position"])}), tensors[0], tensors[1]
