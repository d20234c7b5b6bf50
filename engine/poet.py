"""The façade: requests in, poems out. Knows no Redis."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from engine.backends.base import Backend
from engine.checkpoint import Checkpoint, ModelFolderError, read_part
from engine.checkpoint import load as load_checkpoint
from engine.contract import Poem, PoemError, PoemRequest, outline
from engine.contract.outline import Outline
from engine.contract.text import CLAUSE_MARKS, CLOSING_MARKS, clauses
from engine.decode import DEFAULT_SAMPLING, Decoder, Sampling
from engine.lines import LineIndex
from engine.masks import Masks
from engine.paddle_runtime import DeviceChoice, gpu_ready
from engine.plan import Cell, Plan, plans
from engine.prosody import Prosody
from engine.rank import Ranker
from engine.row import Row
from engine.script import Script
from engine.vocab import Vocabulary

RELEASED = Path(__file__).parent / "models" / "tang"
PROSODY, LINES = "prosody.json", "lines.bin"
CANDIDATES = 8
_SEEDS = 2**31


@dataclass(frozen=True)
class _Task:
    """A request with what it was read as and the rows that write it."""

    request: PoemRequest
    outline: Outline
    traditional: bool
    rows: tuple[Row, ...]


class Poet:
    """Writes poems with one model. ``model`` is the version that each poem names."""

    def __init__(
        self,
        backend: Backend,
        vocabulary: Vocabulary,
        prosody: Prosody,
        lines: LineIndex,
        ranker: Ranker,
        model: str,
        candidates: int = CANDIDATES,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> None:
        self.model = model
        self.prosody = prosody
        self.script = Script()
        self._vocabulary = vocabulary
        self._ranker = ranker
        self._candidates = candidates
        self._decoder = Decoder(backend, vocabulary, Masks(vocabulary, prosody), lines, sampling)

    @classmethod
    def load(
        cls,
        folder: Path | str = RELEASED,
        device: DeviceChoice = "auto",
        threads: int | None = None,
        candidates: int = CANDIDATES,
    ) -> Poet:
        """Load a model folder. ModelFolderError names the part that is missing or does not fit."""
        checkpoint = load_checkpoint(Path(folder))
        return cls(
            _backend(Path(folder), checkpoint, device, threads),
            checkpoint.vocabulary,
            read_prosody(Path(folder)),
            _read_lines(Path(folder)),
            Ranker(checkpoint.vocabulary, checkpoint.weights["output.weight"]),
            checkpoint.version,
            candidates,
        )

    def write(self, requests: Sequence[PoemRequest]) -> list[Poem]:
        """A poem for each request, in order. PoemError: the first request that cannot be served."""
        poems = []
        for answer in self.write_each(requests):
            if isinstance(answer, PoemError):
                raise answer
            poems.append(answer)
        return poems

    def write_each(self, requests: Sequence[PoemRequest]) -> list[Poem | PoemError]:
        """A poem or the reason why not for each request, in order: a bad one does not harm the others."""
        tasks: list[_Task | PoemError] = []
        for request in requests:
            try:
                tasks.append(self._task(request))
            except PoemError as error:
                tasks.append(error)
        good = [task for task in tasks if isinstance(task, _Task)]
        for _ in self._decoder.run(row for task in good for row in task.rows):
            pass
        best = iter(self._best(good))
        return [task if isinstance(task, PoemError) else self._poem(task, next(best)) for task in tasks]

    def _task(self, request: PoemRequest) -> _Task:
        shape = outline(request)
        options = plans(shape, self.prosody, self.script.simplify)
        seed = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
        count = self._candidates if request.candidates is None else request.candidates
        seeds = [seed, *(_other_seed(seed, i) for i in range(1, count))]
        rows = tuple(Row(options[_other_seed(s, 0) % len(options)], s) for s in seeds)
        return _Task(request, shape, self.script.is_traditional("".join(shape.given)), rows)

    def _best(self, tasks: Sequence[_Task]) -> Iterator[Row]:
        """The best row of each task: several are scored a second time, without their opening."""
        alone = {row: Row(_without_opening(row), 0) for task in tasks if len(task.rows) > 1 for row in task.rows}
        for _ in self._decoder.run(alone.values()):
            pass
        for task in tasks:
            if len(task.rows) == 1:
                yield task.rows[0]
            else:
                scores = [
                    self._ranker.score(clauses(row.text), task.outline.form, _mean(row), _mean(alone[row]))
                    for row in task.rows
                ]
                yield task.rows[int(np.argmax(scores))]

    def _poem(self, task: _Task, row: Row) -> Poem:
        text = self.script.traditional(row.text) if task.traditional else row.text
        text = _as_written(text, task.outline)
        return Poem(
            mode=task.request.mode,
            text=_couplets(text),
            lines=tuple(clauses(text)),
            form=task.outline.form,
            seed=row.seed,
            candidates=len(task.rows),
            model=self.model,
            rhyme=row.rhyme,
            template=row.plan.template,
            mood=task.request.mood,
        )


def _backend(folder: Path, checkpoint: Checkpoint, device: DeviceChoice, threads: int | None) -> Backend:
    """Paddle where there is a GPU for it, else the CPU decoder; neither is imported where it is not wanted."""
    if device == "gpu" or (device == "auto" and gpu_ready()):
        from engine.backends.paddle import PaddleBackend

        return PaddleBackend(checkpoint, "gpu", threads)
    from engine.backends.onnx import DECODER, OnnxBackend

    return OnnxBackend(read_part(folder, DECODER), checkpoint, threads)


def read_prosody(folder: Path) -> Prosody:
    """The prosody table of a model folder."""
    try:
        return Prosody.from_bytes(read_part(folder, PROSODY))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFolderError(f"{folder / PROSODY} is not a prosody table: {error}") from error


def _read_lines(folder: Path) -> LineIndex:
    try:
        return LineIndex.from_bytes(read_part(folder, LINES))
    except ValueError as error:
        raise ModelFolderError(f"{folder / LINES} is not an index of lines: {error}") from error


def _other_seed(seed: int, number: int) -> int:
    """A seed for candidate ``number`` that has nothing to do with the seeds next to ``seed``."""
    return int.from_bytes(sha256(f"{seed}/{number}".encode()).digest()[:4]) % _SEEDS


def _mean(row: Row) -> float:
    return row.log_likelihood / max(1, row.chosen)


def _without_opening(row: Row) -> Plan:
    """The characters that ``row`` chose, each forced and scored, after nothing but the start."""
    shown = [cell for cell in row.plan.cells if cell.shown]
    cells = []
    for place, character in enumerate(row.text):
        cell = shown[min(place, len(shown) - 1)]
        if not cell.forced:
            cells.append(Cell(character, scored=True))
        elif cells:  # marks and heads between them are read as they stand
            cells.append(Cell(character))
    return Plan(tuple(cells), row.plan.form)


def _as_written(text: str, shape: Outline) -> str:
    """Put the given characters back exactly as they were typed, line by line."""
    given = iter(shape.given)
    written, begins = [], True
    rest = ""
    for character in text:
        if begins:
            rest = next(given, "")
        begins = character in CLAUSE_MARKS
        written.append(rest[0] if rest and not begins else character)
        rest = rest[1:] if not begins else ""
    return "".join(written)


def _couplets(text: str) -> str:
    """A row ends where a sentence does."""
    rows = "".join(character + "\n" if character in CLOSING_MARKS else character for character in text)
    return rows.strip("\n")
