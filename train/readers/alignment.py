"""Fine-tunes a model on readers' marks, so that it is likelier to write what they prefer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.contract.text import CLAUSE_MARKS
from engine.model.checkpoint import Checkpoint, FloatArray
from engine.model.paddle_runtime import DeviceChoice, choose_device
from engine.model.vocab import Vocabulary
from train.data.batches import Batch, encode
from train.fit.config import TrainConfig
from train.fit.progress import TrainingError
from train.fit.trainer import learning_rate
from train.readers.marks import MarkedPoem

NATS_PER_MARK = 10.0
"""How much likelier a poem should become, against the others of its group, for each mark that it has more."""
OPTIMISATION = TrainConfig(lr=2e-4, warmup=20, schedule="cosine", final_lr=0.1, clip=1.0, maxlen=82)
"""Only the optimiser's settings and ``maxlen`` count."""
GROUPS_PER_BATCH = 8
TEXT_WEIGHT, TEXTS_PER_BATCH = 5.0, 16
"""Weight of the cross-entropy of so many poems of the corpus in each step, in nats per character. Without it, what the
model has learned of the language fades."""

STEPS_PER_REPORT = 10


@dataclass(frozen=True)
class MarkedBatch:
    """Marked poems of one or more groups. ``chosen`` [B, T]: which targets the model chose; ``marks`` [B];
    ``centring`` [B, B]: subtracts from each of B numbers the mean of its group."""

    batch: Batch
    chosen: npt.NDArray[np.bool_]
    marks: FloatArray
    centring: FloatArray

    @classmethod
    def of(cls, poems: Sequence[MarkedPoem], vocabulary: Vocabulary) -> MarkedBatch:
        batch = Batch.of(encode([poem.text for poem in poems], vocabulary), vocabulary.pad)
        chosen = np.zeros(batch.targets.shape, np.bool_)
        for row, poem in zip(chosen, poems, strict=True):
            given = len(poem.opening)
            row[given : len(poem.text)] = [character not in CLAUSE_MARKS for character in poem.text[given:]]
        names = np.array([poem.group for poem in poems])
        together = (names[:, None] == names).astype(np.float32)  # [B, B]
        centring = np.eye(len(poems), dtype=np.float32) - together / together.sum(axis=1)
        return cls(batch, chosen, np.array([poem.mark for poem in poems], np.float32), centring)


def align(
    model: Checkpoint,
    poems: Sequence[MarkedPoem],
    corpus: Sequence[str],
    epochs: int = 3,
    device: DeviceChoice = "auto",
    report: Callable[[str], None] = lambda _: None,
    seed: int = 1,
) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """The weights of ``model`` after ``epochs`` passes over the groups of marked ``poems``, and how they were trained.

    The logarithm of the ratio between a poem's probability now and before is regressed on its mark, within its group
    (REBEL, Gao et al. 2024, arXiv:2404.16767). Every step also learns from a few poems of the ``corpus``. ``report`` is
    given lines of progress.
    TrainingError: the loss is not finite.
    """
    from engine.model.lstm import PoemLSTM, paddle

    choose_device(device, paddle)
    network = PoemLSTM(len(model.vocabulary), model.shape, initialisation="default")
    network.load_weights(model.weights)
    optimizer = paddle.optimizer.Adam(
        OPTIMISATION.lr,
        parameters=list(network.named_weights().values()),
        grad_clip=paddle.nn.ClipGradByGlobalNorm(OPTIMISATION.clip),
    )

    def likelihoods(encoded: MarkedBatch) -> Any:
        ids, targets, chosen = map(paddle.to_tensor, (encoded.batch.ids, encoded.batch.targets, encoded.chosen))
        return network.log_likelihoods(ids, targets, chosen)  # [B]

    texts, rng = encode(corpus, model.vocabulary, OPTIMISATION.maxlen), np.random.default_rng(seed)

    def text_loss() -> Any:
        some = Batch.of([texts[i] for i in rng.choice(len(texts), TEXTS_PER_BATCH)], model.vocabulary.pad)
        return network.loss(paddle.to_tensor(some.ids), paddle.to_tensor(some.targets), model.vocabulary.pad)  # []

    groups, before = _groups(poems), dict[MarkedPoem, float]()
    with paddle.no_grad():
        report(f"reading {sum(map(len, groups))} of {len(poems)} marked poems")
        for some in _batches(groups, seed):
            before |= zip(some, likelihoods(MarkedBatch.of(some, model.vocabulary)).tolist(), strict=True)
    steps, step = epochs * math.ceil(len(groups) / GROUPS_PER_BATCH), 0
    for epoch in range(epochs):
        for some in _batches(groups, seed + epoch):
            encoded = MarkedBatch.of(some, model.vocabulary)
            centring = paddle.to_tensor(encoded.centring)  # [B, B]
            ratios = likelihoods(encoded) - paddle.to_tensor([before[poem] for poem in some])  # [B]
            errors = paddle.mv(centring, ratios - NATS_PER_MARK * paddle.to_tensor(encoded.marks))  # [B]
            loss = (errors**2).mean() / NATS_PER_MARK + TEXT_WEIGHT * text_loss()
            if not math.isfinite(float(loss)):
                raise TrainingError(f"the loss is not a number at step {step}; are the marks as they should be?")
            loss.backward()
            optimizer.set_lr(learning_rate(OPTIMISATION, step, step / steps))
            optimizer.step()
            optimizer.clear_grad()
            step += 1
            if step % STEPS_PER_REPORT == 0 or step == steps:
                report(f"step {step} of {steps}: loss {float(loss):.2f}")
    learned = {"marked_poems": len(poems), "epochs": epochs, "steps": steps, "nats_per_mark": NATS_PER_MARK}
    return network.weights(), {"aligned_with_marks": {**learned, "lr": OPTIMISATION.lr, "seed": seed}}


def _groups(poems: Sequence[MarkedPoem]) -> list[list[MarkedPoem]]:
    """The poems of each group; groups in which all have the same mark say nothing and are left out."""
    groups: dict[str, list[MarkedPoem]] = {}
    for poem in poems:
        groups.setdefault(poem.group, []).append(poem)
    return [group for group in groups.values() if len({poem.mark for poem in group}) > 1]


def _batches(groups: Sequence[list[MarkedPoem]], seed: int) -> list[list[MarkedPoem]]:
    """All groups once, those of the same length together, in an order drawn from ``seed``."""
    rng = np.random.default_rng(seed)
    members = sorted(rng.permutation(len(groups)).tolist(), key=lambda number: len(groups[number][0].text))
    batches = [
        [poem for number in members[begin : begin + GROUPS_PER_BATCH] for poem in groups[number]]
        for begin in range(0, len(members), GROUPS_PER_BATCH)
    ]
    rng.shuffle(batches)
    return batches
