"""The training loop."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from engine.model import checkpoint
from engine.model.checkpoint import Checkpoint
from engine.model.paddle_backend import PaddleBackend
from engine.model.paddle_runtime import DeviceChoice, choose_device
from train.data.batches import Batch, Batches, Ids, encode
from train.data.corpus import Corpus
from train.evaluation.perplexity import missing_types, model_nats, perplexity
from train.evaluation.tutorial_decoder import generate
from train.fit.config import TrainConfig
from train.fit.data_parallel import Ranks, rank_of
from train.fit.loss_curve import draw_curve
from train.fit.progress import Event, Progress, TrainingError
from train.fit.run_folder import Run, RunError, State, Tensors
from train.fit.teacher import teacher_of

LOG_STEPS = 50
"""Steps between history entries."""
LOSS_WEIGHT = 1 / LOG_STEPS
"""Weight of the newest step in the moving average of the loss."""
FIRST_SAVE_STEPS, FIRST_SAVE_SECONDS = 50, 20.0
"""The first checkpoint after a start is saved after so many steps or seconds, so that an early death loses little."""


class _Stopped(Exception):  # noqa: N818  (not an error: it was requested)
    pass


class Trainer:
    """Trains one run, from its newest checkpoint (or its start) to its end."""

    def __init__(
        self,
        run: Run,
        corpus: Corpus,
        report: Callable[[Progress], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
        device: DeviceChoice | None = None,
    ) -> None:
        """``stop`` is polled after every step; when it returns True, ``train`` saves and returns.

        ``device``: overrides the run's setting.
        """
        from engine.model.lstm import PoemLSTM, paddle

        self._paddle = paddle
        self._run, self._report, self._stop = run, report, stop
        setup = run.setup()
        self._config, self._vocabulary = setup.config, setup.vocabulary
        if not corpus.poems["train"] or not corpus.poems["validation"]:
            raise RunError("the corpus has no training or no validation poems; a larger one is needed")
        self._corpus = corpus
        self._missing = missing_types(corpus, self._vocabulary)
        config = self._config
        if config.song_share and not corpus.song:
            raise RunError("the corpus has no Song poems; train with --song-share 0")
        rows = encode(corpus.poems["train"], self._vocabulary, config.maxlen)
        song = encode(corpus.song, self._vocabulary, config.maxlen, self._vocabulary.song_start)
        self._batches = Batches(rows, self._vocabulary.pad, config.seed, config.batch_size, song=song)
        self._total = round(config.epoch * self._batches.tokens_per_epoch)

        self._device = device or config.device
        choose_device(self._device, paddle)
        self._ranks = Ranks(*rank_of(os.environ), paddle)
        paddle.seed(config.seed)
        self._model = PoemLSTM(len(self._vocabulary), config.shape, config.dropout, config.initialisation)
        self._teacher = None
        if (teacher := teacher_of(setup)) is not None:
            self._teacher = PoemLSTM(len(self._vocabulary), teacher.shape, initialisation="default")
            self._teacher.load_weights(teacher.weights)
            self._teacher.eval()
        self._optimizer = paddle.optimizer.Adam(
            config.lr,
            parameters=list(self._model.named_weights().values()),
            grad_clip=paddle.nn.ClipGradByGlobalNorm(config.clip) if config.clip else None,
        )
        self._nats = model_nats(self._model, self._vocabulary.pad)
        self.state = self._restore()
        self._restored_step, self._has_saved = self.state.step, False
        self._started = time.monotonic() - self.state.seconds
        self._loss = self.state.last("loss") or math.nan
        self._seen = 0 if math.isnan(self._loss) else LOG_STEPS
        self._speed = 0.0
        self._since_log: list[tuple[float, int]] = []

    @property
    def part(self) -> float:
        """The finished fraction of the run, by tokens or by time, whichever is further."""
        by_time = self.state.seconds / (60 * self._config.minutes) if self._config.minutes else 0.0
        return min(1.0, max(self.state.tokens / self._total, by_time))

    @property
    def loss(self) -> float:
        """Nats per token, moving average."""
        return self._loss

    @property
    def finished(self) -> bool:
        return self.part >= 1.0

    def train(self) -> State:
        """Train until the run is finished or ``stop`` is set; the checkpoint is on disk either way."""
        self._saved = self._validated = time.monotonic()
        try:
            while not self.finished:
                self._train_pool()
            self._validate()
        except _Stopped:
            pass
        self._record_loss()
        self._draw_curve()
        self._save()
        return self.state

    def _train_pool(self) -> None:
        """Train on the rest of one pool of poems."""
        config, state = self._config, self.state
        if state.position.batch == 0:
            state.position = dataclasses.replace(
                state.position,
                tokens=config.tokens_per_batch(self.part),
                song_share=config.song_share_at(self.part),
            )
        for batch, after in self._batches.pool(state.position):
            self._step(batch)
            epoch_ends = after.epoch > state.position.epoch
            state.position = after
            # Shared, since all processes must make the same decisions from it.
            state.seconds = self._ranks.most(time.monotonic() - self._started)
            self._send_progress("step")
            if self._ranks.most(self._stop()):
                raise _Stopped
            if self.finished:
                return
            if state.step % LOG_STEPS == 0:
                self._record_loss()
            if state.step % config.plot_every == 0:
                self._draw_curve()
                self._send_progress("sample", self._sample())
            if epoch_ends or time.monotonic() - self._validated > 60 * config.validate_every:
                self._validate()
            if self._save_is_due():
                self._save()

    def _step(self, batch: Batch) -> None:
        """One update of the weights."""
        paddle, config, state = self._paddle, self._config, self.state
        began = time.monotonic()
        # Dropout is seeded from the step only, so a resumed run drops the same units as an uninterrupted one.
        paddle.seed(config.seed * 1_000_003 + state.step)
        self._optimizer.set_lr(learning_rate(config, state.step, self.part))
        share, weight = self._ranks.share(batch, self._vocabulary.pad)
        ids, targets = paddle.to_tensor(share.ids), paddle.to_tensor(share.targets)
        loss = self._model.loss(ids, targets, self._vocabulary.pad, "mean", self._teacher, config.teacher_share)
        loss = loss * weight
        nats = self._ranks.sum(float(loss))
        if not math.isfinite(nats):
            raise TrainingError(f"the loss is not a number at step {state.step}; try a lower --lr or a --clip")
        loss.backward()
        self._ranks.sum_gradients(self._model.named_weights().values())
        self._optimizer.step()
        self._model.clear_gradients()
        state.step += 1
        state.tokens += batch.count
        self._since_log.append((nats, batch.count))
        self._seen += 1
        # A plain mean at first, so that the first step's loss does not dominate.
        weight = max(LOSS_WEIGHT, 1 / self._seen)
        self._loss = nats if math.isnan(self._loss) else (1 - weight) * self._loss + weight * nats
        speed = batch.count / (time.monotonic() - began)
        self._speed = 0.98 * self._speed + 0.02 * speed if self._speed else speed

    def _validate(self) -> None:
        self._validated = time.monotonic()
        if not self._ranks.first:
            return

        def nats(ids: Ids, targets: Ids) -> float:
            if self._ranks.alone and self._stop():
                raise _Stopped
            return self._nats(ids, targets)

        measured = perplexity(nats, self._vocabulary, self._corpus.poems["validation"], self._missing)
        self.state.history.append({**self._step_and_tokens(), "validation": measured})
        self._validated = time.monotonic()
        self._send_progress("validation")

    def _sample(self) -> str:
        """A sample poem by greedy decoding, as in the tutorial."""
        if not self._ranks.first:
            return ""
        config = self._config
        now = Checkpoint(config.shape, self._vocabulary, self._model.weights())
        backend = PaddleBackend(now, self._device)
        return generate(backend, self._vocabulary, config.start_words, config.prefix_words, config.max_gen_len)

    def _record_loss(self) -> None:
        """Append the mean loss since the last entry to the history."""
        if self._since_log:
            targets = sum(count for _, count in self._since_log)
            loss = sum(nats * count for nats, count in self._since_log) / targets
            self.state.history.append({**self._step_and_tokens(), "loss": loss})
            self._since_log.clear()

    def _draw_curve(self) -> None:
        if self._ranks.first:
            draw_curve(self.state.history, self._run.folder / "loss.png")

    def _save_is_due(self) -> bool:
        since = time.monotonic() - self._saved
        if since > 60 * self._config.save_every:
            return True
        steps = self.state.step - self._restored_step
        return not self._has_saved and (steps >= FIRST_SAVE_STEPS or since > FIRST_SAVE_SECONDS)

    def _save(self) -> None:
        self._has_saved = True
        if self._ranks.alone:
            self.state.seconds = time.monotonic() - self._started
        self._saved = time.monotonic()
        if self._ranks.first:
            self._run.save(self.state, self._model.weights(), self._optimizer_tensors())
            self._saved = time.monotonic()
            self._send_progress("checkpoint")

    def _step_and_tokens(self) -> dict[str, float]:
        return {"step": self.state.step, "tokens": self.state.tokens}

    def _send_progress(self, event: Event, sample: str = "") -> None:
        if not self._ranks.first:
            return
        state, config = self.state, self._config
        left = (self._total - state.tokens) / self._speed if self._speed else math.nan
        if config.minutes:
            left = min(left, 60 * config.minutes - state.seconds)
        progress = Progress(
            event=event,
            step=state.step,
            epoch=state.tokens / self._batches.tokens_per_epoch,
            tokens=state.tokens,
            part=self.part,
            loss=self._loss,
            tokens_per_second=self._speed,
            seconds_left=max(0.0, left),
            validation=state.last("validation"),
            sample=sample,
        )
        self._report(progress)

    def _restore(self) -> State:
        """Load weights, optimiser and position from the newest checkpoint, or weights from the model to start from."""
        kept = self._run.newest()
        if kept is None:
            if self._config.model_path:
                self._model.load_weights(checkpoint.load(Path(self._config.model_path)).weights)
            return State()
        state, weights, moments = kept
        self._model.load_weights(weights)
        if moments:
            names = {name: weight.name for name, weight in self._model.named_weights().items()}
            paddle_names = {self._moment_name(key, names): tensor for key, tensor in moments.items()}
            tensors = {name: self._paddle.to_tensor(tensor) for name, tensor in paddle_names.items()}
            self._optimizer.set_state_dict(tensors)
        return state

    def _optimizer_tensors(self) -> Tensors:
        """The optimiser's tensors as ``weight/moment``, because Paddle's own names depend on the process."""
        kept = {}
        for key, tensor in self._optimizer.state_dict().items():
            for name, weight in self._model.named_weights().items():
                if key.startswith(f"{weight.name}_"):
                    kept[f"{name}/{key.removeprefix(weight.name + '_')}"] = tensor.numpy()
        return kept

    @staticmethod
    def _moment_name(key: str, names: dict[str, str]) -> str:
        name, _, moment = key.partition("/")
        return f"{names[name]}_{moment}"


def learning_rate(config: TrainConfig, step: int, part: float) -> float:
    """Linear warm-up, then constant; with the cosine schedule, decaying from ``cosine_from`` to the end of the run."""
    rising = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    if config.schedule == "constant":
        return config.lr * rising
    fallen = max(0.0, part - config.cosine_from) / (1 - config.cosine_from)
    falling = config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * fallen))
    return config.lr * rising * falling
