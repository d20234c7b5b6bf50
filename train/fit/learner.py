"""What a run trains: the model, with its optimiser and perhaps a teacher; one update of the weights at a time."""

from __future__ import annotations

import math
import os
from pathlib import Path

from engine.model import checkpoint
from engine.model.checkpoint import FloatArray
from engine.model.paddle_runtime import DeviceChoice, choose_device
from train.data.batches import Batch
from train.fit.data_parallel import Ranks, rank_of
from train.fit.progress import TrainingError
from train.fit.run_folder import Setup, Tensors
from train.fit.teacher import teacher_of


class Learner:
    """``ranks``: the processes that make every update together."""

    def __init__(self, setup: Setup, device: DeviceChoice) -> None:
        from engine.model.lstm import PoemLSTM, paddle

        self._paddle, self._config, self._pad = paddle, setup.config, setup.vocabulary.pad
        config, size = setup.config, len(setup.vocabulary)
        choose_device(device, paddle)
        self.ranks = Ranks(*rank_of(os.environ), paddle)
        paddle.seed(config.seed)
        self.model = PoemLSTM(size, config.shape, config.dropout, config.initialisation)
        self._teacher = None
        if (teacher := teacher_of(setup)) is not None:
            self._teacher = PoemLSTM(size, teacher.shape, initialisation="default")
            self._teacher.load_weights(teacher.weights)
            self._teacher.eval()
        self._optimizer = paddle.optimizer.Adam(
            config.lr,
            parameters=list(self.model.named_weights().values()),
            grad_clip=paddle.nn.ClipGradByGlobalNorm(config.clip) if config.clip else None,
        )

    def update(self, batch: Batch, step: int, learning_rate: float) -> float:
        """Update the weights once. Returns the mean nats per target; TrainingError: they are not finite."""
        paddle = self._paddle
        # Dropout is seeded from the step only, so a resumed run drops the same units as an uninterrupted one.
        paddle.seed(self._config.seed * 1_000_003 + step)
        self._optimizer.set_lr(learning_rate)
        share, weight = self.ranks.share(batch, self._pad)
        ids, targets = paddle.to_tensor(share.ids), paddle.to_tensor(share.targets)
        loss = self.model.loss(ids, targets, self._pad, "mean", self._teacher, self._config.teacher_share) * weight
        nats = self.ranks.sum(float(loss))
        if not math.isfinite(nats):
            raise TrainingError(f"the loss is not a number at step {step}; try a lower --lr or a --clip")
        loss.backward()
        self.ranks.sum_gradients(self.model.named_weights().values())
        self._optimizer.step()
        self.model.clear_gradients()
        return nats

    def load_initial_weights(self) -> None:
        """Load the weights of the model that the run starts from, if it does not start from random ones."""
        if self._config.model_path:
            self.model.load_weights(checkpoint.load(Path(self._config.model_path)).weights)

    def load(self, weights: dict[str, FloatArray], optimizer: Tensors) -> None:
        """Load a checkpoint's weights and ``optimizer_tensors``."""
        self.model.load_weights(weights)
        parameters = self.model.named_weights()
        state = {}
        for key, tensor in optimizer.items():
            name, _, moment = key.partition("/")
            state[f"{parameters[name].name}_{moment}"] = self._paddle.to_tensor(tensor)
        if state:
            self._optimizer.set_state_dict(state)

    def optimizer_tensors(self) -> Tensors:
        """The optimiser's tensors as ``weight/moment``, because Paddle's own names depend on the process."""
        return {
            f"{name}/{key.removeprefix(weight.name + '_')}": tensor.numpy()
            for key, tensor in self._optimizer.state_dict().items()
            for name, weight in self.model.named_weights().items()
            if key.startswith(f"{weight.name}_")
        }
