"""The training loop."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

from engine.model.backend import Ids
from engine.model.checkpoint import Checkpoint
from engine.model.paddle_backend import PaddleBackend
from engine.model.paddle_runtime import DeviceChoice
from train.data.batches import Batch, Batches, encode
from train.data.corpus import Corpus
from train.evaluation.perplexity import missing_types, model_nats, perplexity
from train.evaluation.tutorial_decoder import generate
from train.fit.config import TrainConfig
from train.fit.learner import Learner
from train.fit.loss_curve import draw_curve
from train.fit.progress import Event, Progress
from train.fit.run_folder import Run, RunError, RunState

LOG_STEPS = 50
"""Steps between history entries."""
LOSS_WEIGHT = 1 / LOG_STEPS
"""Weight of the newest step in the moving average of the loss."""
FIRST_SAVE_STEPS, FIRST_SAVE_SECONDS = 50, 20.0
"""When the first checkpoint after a start is due, whichever comes first, so that an early crash loses little."""


class _Stopped(Exception):  # noqa: N818  (not an error: it was requested)
    pass


class Trainer:
    """Trains one run, from its newest checkpoint (or its start) to its end.

    ``loss``: nats per target, a moving average.
    """

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
        self._run, self._report, self._stop = run, report, stop
        setup = run.setup()
        config, vocabulary = setup.config, setup.vocabulary
        if not corpus.poems["train"] or not corpus.poems["validation"]:
            raise RunError("the corpus has no training or no validation poems; a larger one is needed")
        if config.song_share and not corpus.song:
            raise RunError("the corpus has no Song poems; train with --song-share 0")
        self._config, self._vocabulary = config, vocabulary
        self._validation_poems, self._missing = corpus.poems["validation"], missing_types(corpus, vocabulary)
        rows = encode(corpus.poems["train"], vocabulary, config.maxlen)
        song = encode(corpus.song, vocabulary, config.maxlen, vocabulary.song_start)
        self._batches = Batches(rows, vocabulary.pad, config.seed, config.batch_size, song=song)
        self._total_tokens = round(config.epoch * self._batches.tokens_per_epoch)

        self._device = device or config.device
        self._learner = Learner(setup, self._device)
        self._ranks = self._learner.ranks
        self.state = self._restore()
        self._restored_step, self._has_saved = self.state.step, False
        self._started = time.monotonic() - self.state.seconds
        self.loss = self.state.last("loss") or math.nan
        self._losses_averaged = 0 if math.isnan(self.loss) else LOG_STEPS
        self._speed = 0.0
        self._since_log: list[tuple[float, int]] = []

    def _restore(self) -> RunState:
        """Load the newest checkpoint, or what the run starts from."""
        newest = self._run.newest()
        if newest is None:
            self._learner.load_initial_weights()
            return RunState()
        state, weights, optimizer = newest
        self._learner.load(weights, optimizer)
        return state

    @property
    def part(self) -> float:
        """The finished fraction of the run, by tokens or by time, whichever is further."""
        by_time = self.state.seconds / (60 * self._config.minutes) if self._config.minutes else 0.0
        return min(1.0, max(self.state.tokens / self._total_tokens, by_time))

    @property
    def finished(self) -> bool:
        return self.part >= 1.0

    def train(self) -> RunState:
        """Train until the run is finished or ``stop`` returns True; the checkpoint is on disk either way."""
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
        """Update the weights, and the state and averages with them."""
        state, began = self.state, time.monotonic()
        nats = self._learner.update(batch, state.step, learning_rate(self._config, state.step, self.part))
        state.step += 1
        state.tokens += batch.count
        self._since_log.append((nats, batch.count))
        self._losses_averaged += 1
        # A plain mean at first, so that the first step's loss does not dominate.
        weight = max(LOSS_WEIGHT, 1 / self._losses_averaged)
        self.loss = nats if math.isnan(self.loss) else (1 - weight) * self.loss + weight * nats
        speed = batch.count / (time.monotonic() - began)
        self._speed = 0.98 * self._speed + 0.02 * speed if self._speed else speed

    def _validate(self) -> None:
        if self._ranks.first:
            model_loss = model_nats(self._learner.model, self._vocabulary.pad)

            def nats(ids: Ids, targets: Ids) -> float:
                if self._ranks.alone and self._stop():
                    raise _Stopped
                return model_loss(ids, targets)

            measured = perplexity(nats, self._vocabulary, self._validation_poems, self._missing)
            self._add_to_history(validation=measured)
            self._send_progress("validation")
        self._validated = time.monotonic()

    def _sample(self) -> str:
        """A sample poem by greedy decoding, as in the tutorial."""
        if not self._ranks.first:
            return ""
        config = self._config
        model = Checkpoint(config.shape, self._vocabulary, self._learner.model.weights())
        backend = PaddleBackend(model, self._device)
        return generate(backend, self._vocabulary, config.start_words, config.prefix_words, config.max_gen_len)

    def _record_loss(self) -> None:
        """Append the mean loss since the last entry to the history."""
        if self._since_log:
            targets = sum(count for _, count in self._since_log)
            self._add_to_history(loss=sum(nats * count for nats, count in self._since_log) / targets)
            self._since_log.clear()

    def _add_to_history(self, **measured: float) -> None:
        self.state.history.append({"step": self.state.step, "tokens": self.state.tokens, **measured})

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
        if self._ranks.alone:
            self.state.seconds = time.monotonic() - self._started
        if self._ranks.first:
            self._run.save(self.state, self._learner.model.weights(), self._learner.optimizer_tensors())
            self._send_progress("checkpoint")
        self._has_saved, self._saved = True, time.monotonic()

    def _send_progress(self, event: Event, sample: str = "") -> None:
        if not self._ranks.first:
            return
        state, config = self.state, self._config
        left = (self._total_tokens - state.tokens) / self._speed if self._speed else math.nan
        if config.minutes:
            left = min(left, 60 * config.minutes - state.seconds)
        progress = Progress(
            event=event,
            step=state.step,
            epoch=state.tokens / self._batches.tokens_per_epoch,
            tokens=state.tokens,
            part=self.part,
            loss=self.loss,
            tokens_per_second=self._speed,
            seconds_left=max(0.0, left),
            validation=state.last("validation"),
            sample=sample,
        )
        self._report(progress)


def learning_rate(config: TrainConfig, step: int, part: float) -> float:
    """Linear warm-up, then constant; with the cosine schedule, decaying from ``cosine_from`` to the end of the run."""
    rising = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    if config.schedule == "constant":
        return config.lr * rising
    fallen = max(0.0, part - config.cosine_from) / (1 - config.cosine_from)
    falling = config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * fallen))
    return config.lr * rising * falling
