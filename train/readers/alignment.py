"""Fine-tunes a model on readers' marks, so that it is likelier to write what they prefer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.model.backend import Ids
from engine.model.checkpoint import Checkpoint, FloatArray
from engine.model.paddle_runtime import DeviceChoice, choose_device
from engine.model.vocab import Vocabulary
from train.data.batches import Batch, encode
from train.fit.config import TrainConfig
from train.fit.progress import TrainingError
from train.fit.trainer import learning_rate
from train.readers.marks import MarkedPoem

NATS_PER_MARK, NATS_PER_LINE_MARK = 5.0, 3.0
"""How much likelier a poem should become, against the others of its group, for each mark that it has more, and how much
likelier one of its lines, against the same line of the others, for each mark of that line."""
OPTIMISATION = TrainConfig(lr=2e-4, warmup=20, schedule="cosine", final_lr=0.1, clip=1.0, maxlen=82)
"""Only the optimiser's settings count, and ``maxlen``, to which poems of the corpus are cut: longer than a 七律."""
GROUPS_PER_BATCH = 8
TEXT_WEIGHT, TEXTS_PER_BATCH = 5.0, 16
"""Weight of the mean cross-entropy (nats per character) of so many poems of the corpus in each step. Without it, what
the model has learned of the language fades."""

STEPS_PER_REPORT = 10


@dataclass(frozen=True)
class MarkedBatch:
    """The N lines that the model wrote in marked poems of one or more groups. ``spans`` [B, T]: to which of the lines a
    target that the model chose belongs, else -1; ``wanted`` [N]: how much likelier they should become, in nats;
    ``centring`` [N, N]: subtracts from each of N numbers the mean of that line in its group."""

    batch: Batch
    spans: Ids
    wanted: FloatArray
    centring: FloatArray

    @classmethod
    def of(cls, poems: Sequence[MarkedPoem], vocabulary: Vocabulary) -> MarkedBatch:
        batch = Batch.of(encode([poem.text for poem in poems], vocabulary), vocabulary.pad)
        spans, wanted, places = np.full_like(batch.targets, -1), list[float](), list[str]()
        for row, poem in zip(spans, poems, strict=True):
            chosen = np.array(poem.lines_chosen())
            row[: len(chosen)] = np.where(chosen < 0, -1, chosen + len(wanted))
            count = chosen.max() + 1
            line_marks = poem.line_marks or (0,) * count
            wanted += [NATS_PER_LINE_MARK * mark + NATS_PER_MARK * poem.mark / count for mark in line_marks]
            places += [f"{line} {poem.group}" for line in range(count)]
        together = (np.array(places)[:, None] == np.array(places)).astype(np.float32)  # [N, N]
        centring = np.eye(len(places), dtype=np.float32) - together / together.sum(axis=1)
        return cls(batch, spans, np.array(wanted, np.float32), centring)


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

    The logarithm of the ratio between a line's probability now and before is regressed on its mark and that of its
    poem, within the group (REBEL, Gao et al. 2024, arXiv:2404.16767). Every step also learns from a few poems of the
    ``corpus``. ``report`` is given lines of progress.
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
        ids, targets, spans = map(paddle.to_tensor, (encoded.batch.ids, encoded.batch.targets, encoded.spans))
        return network.log_likelihoods(ids, targets, spans)  # [N]

    texts, rng = encode(corpus, model.vocabulary, OPTIMISATION.maxlen), np.random.default_rng(seed)

    def text_loss() -> Any:
        some = Batch.of([texts[i] for i in rng.choice(len(texts), TEXTS_PER_BATCH)], model.vocabulary.pad)
        return network.loss(paddle.to_tensor(some.ids), paddle.to_tensor(some.targets), model.vocabulary.pad)  # []

    groups, before = _groups(poems), dict[MarkedPoem, FloatArray]()
    with paddle.no_grad():
        report(f"reading {sum(map(len, groups))} of {len(poems)} marked poems")
        for some in _batches(groups, seed):
            ends = np.cumsum([max(poem.lines_chosen()) + 1 for poem in some])
            encoded = MarkedBatch.of(some, model.vocabulary)
            before |= zip(some, np.split(likelihoods(encoded).numpy(), ends[:-1]), strict=True)
    steps, step = epochs * math.ceil(len(groups) / GROUPS_PER_BATCH), 0
    for epoch in range(epochs):
        for some in _batches(groups, seed + epoch):
            encoded = MarkedBatch.of(some, model.vocabulary)
            centring = paddle.to_tensor(encoded.centring)  # [N, N]
            earlier = paddle.to_tensor(np.concatenate([before[poem] for poem in some]))  # [N]
            ratios = likelihoods(encoded) - earlier  # [N]
            errors = paddle.mv(centring, ratios - paddle.to_tensor(encoded.wanted))  # [N]
            loss = (errors**2).sum() / len(some) / NATS_PER_MARK + TEXT_WEIGHT * text_loss()
            if not math.isfinite(float(loss)):
                raise TrainingError(f"the loss is not a number at step {step}; are the marks as they should be?")
            loss.backward()
            optimizer.set_lr(learning_rate(OPTIMISATION, step, step / steps))
            optimizer.step()
            optimizer.clear_grad()
            step += 1
            if step % STEPS_PER_REPORT == 0 or step == steps:
                report(f"step {step} of {steps}: loss {float(loss):.2f}")
    facts = {
        "marked_poems": len(poems),
        "epochs": epochs,
        "steps": steps,
        "nats_per_mark": NATS_PER_MARK,
        "nats_per_line_mark": NATS_PER_LINE_MARK,
        "text_weight": TEXT_WEIGHT,
        "texts_per_batch": TEXTS_PER_BATCH,
        "lr": OPTIMISATION.lr,
        "seed": seed,
    }
    return network.weights(), {"aligned_with_marks": facts}


def _groups(poems: Sequence[MarkedPoem]) -> list[list[MarkedPoem]]:
    """The poems of each group; groups in which all have the same marks say nothing and are left out."""
    groups: dict[str, list[MarkedPoem]] = {}
    for poem in poems:
        groups.setdefault(poem.group, []).append(poem)
    return [group for group in groups.values() if len({(poem.mark, poem.line_marks) for poem in group}) > 1]


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
