"""``Poet``: the façade that turns requests into poems."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from engine.contract import Poem, PoemError, PoemRequest, outline
from engine.contract.check import CheckRequest, Examination
from engine.contract.poem import MAX_CANDIDATES
from engine.contract.script import Script
from engine.generation.allowed import AllowedIds
from engine.generation.associations import Associations
from engine.generation.budget import Budget
from engine.generation.candidates import CandidateSet
from engine.generation.corpus_lines import NO_ENDINGS, LineIndex
from engine.generation.decoder import Decoder
from engine.generation.lineage import SEEDS
from engine.generation.plan import in_stages, plans
from engine.generation.preference import BY_HAND, Preference
from engine.generation.ranker import Ranker
from engine.generation.sequence import TokenSequence
from engine.generation.variety import COMMON_CHARACTERS, NO_VARIETY, Variety
from engine.model.backend import Backend
from engine.model.checkpoint import Checkpoint
from engine.model.checkpoint import load as load_checkpoint
from engine.model.folder import ModelFolder
from engine.model.paddle_runtime import DeviceChoice, gpu_ready
from engine.model.vocab import Vocabulary
from engine.prosody import Prosody
from engine.prosody.check import examine_lines

RELEASED = Path(__file__).parents[1] / "models" / "tang"
PROSODY, LINES, ASSOCIATIONS = "prosody.json", "lines.bin", "associations.bin"
PREFERENCE, ENDINGS = "preference.json", "endings.bin"
MAX_SEQUENCES = 64
"""Number of sequences written at the same time, apart from the first of each new poem."""


class Poet:
    """Writes poems with one model; ``model`` is its version, named in each poem.

    ``write`` writes a list of requests. ``add`` and ``step`` allow requests to join and poems to leave while others are
    being written. Not thread-safe.
    """

    def __init__(
        self,
        backend: Backend,
        vocabulary: Vocabulary,
        prosody: Prosody,
        lines: LineIndex,
        ranker: Ranker,
        model: str,
        candidates: int = MAX_CANDIDATES,
        budget: float | None = None,
        variety: Variety = NO_VARIETY,
    ) -> None:
        self.model = model
        self.prosody = prosody
        self.script = Script()
        self._ranker = ranker
        self._candidates = candidates
        self._budget = Budget(candidates, budget)
        self._variety = variety
        self._decoder = Decoder(backend, vocabulary, AllowedIds(vocabulary, prosody), lines)
        self._other_rows: deque[TokenSequence] = deque()
        self._first_rows: list[TokenSequence] = []
        self._candidate_sets: dict[TokenSequence, CandidateSet] = {}

    @classmethod
    def load(
        cls,
        folder: Path | str = RELEASED,
        device: DeviceChoice = "auto",
        threads: int | None = None,
        candidates: int = MAX_CANDIDATES,
        backend: Backend | None = None,
        budget: float | None = None,
    ) -> Poet:
        """Load a model folder; ``backend`` replaces the one that ``device`` would choose.

        ``candidates``: per poem, unless the request says otherwise; fewer if they would take longer than ``budget``
        seconds.
        ModelFolderError names the part that is missing or does not match.
        """
        model_folder = ModelFolder.read(Path(folder))
        checkpoint = load_checkpoint(model_folder)
        parse = partial(Preference.from_bytes, hidden=checkpoint.shape.hidden_dim)
        preference = model_folder.parsed_if_present(PREFERENCE, parse, "a preference of this model", BY_HAND)
        endings = model_folder.parsed_if_present(ENDINGS, LineIndex.from_bytes, "an index of endings", NO_ENDINGS)
        associations = model_folder.parsed_if_present(
            ASSOCIATIONS, Associations.from_bytes, "a table of associations", None
        )
        return cls(
            backend or _backend(model_folder, checkpoint, device, threads),
            checkpoint.vocabulary,
            model_folder.parsed(PROSODY, Prosody.from_bytes, "a prosody table"),
            model_folder.parsed(LINES, LineIndex.from_bytes, "an index of lines"),
            Ranker(checkpoint.vocabulary, checkpoint.weights["output.weight"], associations, preference, endings),
            checkpoint.version,
            candidates,
            budget=budget,
            variety=Variety(associations.commonest(COMMON_CHARACTERS) if associations else ""),
        )

    def write(self, requests: Sequence[PoemRequest]) -> list[Poem]:
        """A poem for each request, in order. PoemError: for the first invalid request."""
        poems = []
        for answer in self.write_each(requests):
            if isinstance(answer, PoemError):
                raise answer
            poems.append(answer)
        return poems

    def write_each(self, requests: Sequence[PoemRequest]) -> list[Poem | PoemError]:
        """A poem or an error for each request, in order; an invalid request does not affect the others."""
        answers: list[Poem | PoemError | None] = [None] * len(requests)
        places: dict[CandidateSet, int] = {}
        for place, request in enumerate(requests):
            try:
                places[self.add(request)] = place
            except PoemError as error:
                answers[place] = error
        while places:
            for candidate_set, poem in self.step():
                answers[places.pop(candidate_set)] = poem
        return [answer for answer in answers if answer is not None]

    def add(self, request: PoemRequest) -> CandidateSet:
        """Start a poem at the next step. PoemError: the request is invalid.

        Without a seed and a number of candidates in the request, there are as many candidates as time allows.
        """
        outlined = outline(request)
        options = in_stages(plans(outlined, self.prosody, self.script.simplify))
        count = request.candidates or self._candidates
        if request.seed is None and request.candidates is None:
            count = self._budget.candidates(options, len(set(self._candidate_sets.values())))
        seed = secrets.randbelow(SEEDS) if request.seed is None else request.seed
        candidate_set = CandidateSet(request, outlined, options, seed, count, self._ranker, self.script, self._variety)
        self._enqueue(candidate_set)
        return candidate_set

    def examine(self, request: CheckRequest) -> Examination:
        """Examine a finished poem by the model's table. PoemError: the text holds no poem."""
        return examine_lines(request.lines(), self.prosody, self.script)

    def step(self) -> list[tuple[CandidateSet, Poem]]:
        """Write one character of every sequence in flight; returns the finished poems. If it raises, all are
        dropped."""
        finished = []
        began = time.perf_counter()
        try:
            self._start_waiting()
            rows = len(self._decoder)
            for candidate_set in dict.fromkeys([self._candidate_sets.pop(row) for row in self._decoder.step()]):
                if candidate_set.written:
                    if candidate_set.go_on():
                        self._enqueue(candidate_set)
                    else:
                        finished.append((candidate_set, candidate_set.poem(self.model)))
        except Exception:
            self._decoder.clear()
            self._first_rows.clear()
            self._other_rows.clear()
            self._candidate_sets.clear()
            raise
        self._budget.record(time.perf_counter() - began, rows)
        return finished

    def _enqueue(self, candidate_set: CandidateSet) -> None:
        """Queue the sequences of the next stage; poems already started take precedence."""
        first, *rest = candidate_set.rows
        self._candidate_sets.update((row, candidate_set) for row in candidate_set.rows)
        self._first_rows.append(first)
        if candidate_set.begun:
            self._other_rows.extendleft(reversed(rest))
        else:
            self._other_rows.extend(rest)

    def _start_waiting(self) -> None:
        """Start sequences: the first of each new poem, so that no poem waits for the candidates of others, then as many
        others as fit, and at least one, so that none waits forever."""
        free = max(1, MAX_SEQUENCES - len(self._decoder) - len(self._first_rows))
        rest = [self._other_rows.popleft() for _ in range(min(free, len(self._other_rows)))]
        self._decoder.add([*self._first_rows, *rest])
        self._first_rows.clear()


def _backend(folder: ModelFolder, checkpoint: Checkpoint, device: DeviceChoice, threads: int | None) -> Backend:
    """Paddle if there is a GPU for it, else the CPU decoder; only the one needed is imported."""
    if device == "gpu" or (device == "auto" and gpu_ready()):
        from engine.model.paddle_backend import PaddleBackend

        return PaddleBackend(checkpoint, "gpu", threads)
    from engine.model.onnx_backend import DECODER, OnnxBackend

    return OnnxBackend(folder.part(DECODER), checkpoint, threads)


def read_prosody(folder: Path) -> Prosody:
    """The prosody table of a model folder."""
    return ModelFolder.read(folder, frozenset((PROSODY,))).parsed(PROSODY, Prosody.from_bytes, "a prosody table")
