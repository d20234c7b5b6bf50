"""The neural network: characters in, scores of the next character out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from engine.model.checkpoint import FloatArray, check_weights
from engine.model.folder import Shape
from engine.model.paddle_runtime import import_paddle

paddle = import_paddle()
from paddle import nn  # noqa: E402  (Paddle is imported in one place, which sets what it reads while it loads)

Initialisation = Literal["careful", "default"]


MIN_PROBABILITY = 1e-37
"""Added before a logarithm, so that a probability that underflows to 0 costs 85 nats instead of infinity."""
CHUNK_POSITIONS = 512
"""Positions whose scores are computed together: enough for fast matrix products, few enough for the caches."""


class OutputLoss(paddle.autograd.PyLayer):  # type: ignore[misc,name-defined]
    """Cross-entropy of a linear output layer, summed over N positions, without storing the [N, V] scores.

    The forward pass goes through the positions in chunks and computes loss and gradients together while the scores of a
    chunk are in the caches; the backward pass only scales the gradients.

    With a teacher (Hinton, Vinyals and Dean 2015, arXiv:1503.02531) the gradients are those of the cross-entropy to a
    mixture: ``share`` of the teacher's distribution, the rest of the targets. The nats remain those of the targets.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Any,
        weight: Any,
        bias: Any,
        targets: Any,
        share: float = 0.0,
        teacher: Callable[[slice], Any] | None = None,
    ) -> Any:
        """hidden float32 [N, H], weight [H, V], bias [V], targets int64 [N] -> nats, float32 [].

        ``teacher``: its distribution [C, V] at a chunk of the positions, as a fresh tensor.
        """
        # The bias is an extra row of the weight: adding it and summing its gradient need no pass over the scores.
        hidden = paddle.concat([hidden, paddle.ones([hidden.shape[0], 1], hidden.dtype)], axis=1)  # [N, H + 1]
        both = paddle.concat([weight, bias.unsqueeze(0)])  # [H + 1, V]
        nats = paddle.zeros([], hidden.dtype)
        gradients, hidden_gradients = paddle.zeros_like(both), []
        for begin in range(0, hidden.shape[0], CHUNK_POSITIONS):
            positions = slice(begin, begin + CHUNK_POSITIONS)
            read = hidden[positions]  # [C, H + 1]
            wanted = targets[positions].unsqueeze(1)  # [C, 1]
            probabilities = nn.functional.softmax_(paddle.matmul(read, both))  # [C, V]
            right = paddle.index_sample(probabilities, wanted)  # [C, 1]
            nats -= paddle.log(right + MIN_PROBABILITY).sum()
            if teacher is not None:
                probabilities.subtract_(teacher(positions).scale_(share))
                right = paddle.index_sample(probabilities, wanted)  # [C, 1]
            probabilities.put_along_axis_(wanted, right - (1 - share), 1)  # now the gradient of the scores
            hidden_gradients.append(paddle.matmul(probabilities, weight, transpose_y=True))  # [C, H]
            gradients.add_(paddle.matmul(read, probabilities, transpose_x=True))  # [H + 1, V]
        ctx.save_for_backward(paddle.concat(hidden_gradients), gradients[:-1], gradients[-1])
        return nats

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> tuple[Any, Any, Any, None]:
        hidden, weight, bias = ctx.saved_tensor()
        return hidden * gradient, weight * gradient, bias * gradient, None


class PoemLSTM(nn.Layer):  # type: ignore[misc]  # Paddle ships no types
    """Embedding, stacked LSTM, one linear layer.

    With B rows of T characters, V the vocabulary's size, E and H the dimensions of ``shape``. ``dropout`` acts only in
    training: on the embedding, between the layers and before the output.
    ``initialisation``: ``careful`` leaves the plateau of unigram frequencies early, ``default`` is Paddle's.
    """

    def __init__(
        self,
        vocabulary_size: int,
        shape: Shape,
        dropout: float = 0.0,
        initialisation: Initialisation = "careful",
    ) -> None:
        super().__init__()
        self.shape = shape
        self.vocabulary_size = vocabulary_size
        self.embedding = nn.Embedding(vocabulary_size, shape.embedding_dim)
        self.lstm = nn.LSTM(shape.embedding_dim, shape.hidden_dim, shape.num_layers, dropout=dropout)
        self.output = nn.Linear(shape.hidden_dim, vocabulary_size)
        self.dropout = nn.Dropout(dropout)
        for layer in range(shape.num_layers):
            # Paddle's LSTM adds two biases where one is enough. The second stays zero: it is not in ``named_weights``,
            # so no optimiser changes it. (Its gradient cannot be disabled.)
            second = getattr(self.lstm, f"bias_hh_l{layer}")
            second.set_value(np.zeros(second.shape, np.float32))
        if initialisation == "careful":
            self._initialise()

    def forward(self, ids: Any) -> Any:
        """Scores of each next character. ids int64 [B, T] -> float32 [B, T, V]."""
        return self.output(self.hidden(ids))  # [B, T, V]

    def hidden(self, ids: Any) -> Any:
        """The input of the output layer, for callers that need scores for some positions only."""
        embedded = self.dropout(self.embedding(ids))  # [B, T, E]
        hidden, _ = self.lstm(embedded)  # [B, T, H]
        return self.dropout(hidden)  # [B, T, H]

    def loss(
        self,
        ids: Any,
        targets: Any,
        pad: int,
        reduction: Literal["mean", "sum"] = "mean",
        teacher: PoemLSTM | None = None,
        share: float = 0.0,
    ) -> Any:
        """Nats per target, or in total; padding is not counted. ids, targets int64 [B, T] -> float32 [].

        ``teacher``: a model with the same vocabulary; its distribution is ``share`` of what the gradients lead to
        (``OutputLoss``).
        """
        positions = paddle.nonzero(targets.flatten() != pad).flatten()  # [N]
        hidden = self._hidden_at(ids, positions)  # [N, H]
        wanted = paddle.gather(targets.flatten(), positions)  # [N]
        if paddle.is_grad_enabled():
            taught = () if teacher is None else (share, teacher._distribution(ids, positions))
            nats = OutputLoss.apply(hidden, self.output.weight, self.output.bias, wanted, *taught)  # []
        else:
            chunks = range(0, len(wanted), CHUNK_POSITIONS)
            parts = [slice(begin, begin + CHUNK_POSITIONS) for begin in chunks]
            costs = [nn.functional.cross_entropy(self.output(hidden[p]), wanted[p], reduction="sum") for p in parts]
            nats = paddle.add_n(costs)  # []
        return nats / len(wanted) if reduction == "mean" else nats

    def log_likelihoods(self, ids: Any, targets: Any, spans: Any) -> Any:
        """Of spans of targets, in nats, with gradients.

        ``spans``: which of S spans a target belongs to, not decreasing along the flattened targets; -1: to none.
        ids, targets, spans int64 [B, T] -> float32 [S].
        """
        positions = paddle.nonzero(spans.flatten() >= 0).flatten()  # [N]
        scores = self.output(self._hidden_at(ids, positions))  # [N, V]
        wanted = paddle.gather(targets.flatten(), positions)  # [N]
        nats = nn.functional.cross_entropy(scores, wanted, reduction="none")  # [N]
        return -paddle.geometric.segment_sum(nats.flatten(), paddle.gather(spans.flatten(), positions))

    def _hidden_at(self, ids: Any, positions: Any) -> Any:
        """``hidden`` at ``positions`` of the flattened ids. ids int64 [B, T], positions int64 [N] -> float32 [N, H]."""
        return paddle.gather(self.hidden(ids).reshape([-1, self.shape.hidden_dim]), positions)

    def _distribution(self, ids: Any, positions: Any) -> Callable[[slice], Any]:
        """A function from a slice of ``positions`` to the probabilities of the next character there, float32 [C, V].

        It must be called where no gradients are recorded.
        """
        with paddle.no_grad():
            hidden = self._hidden_at(ids, positions)  # [N, H]
        return lambda chunk: nn.functional.softmax_(self.output(hidden[chunk]))

    def load_weights(self, weights: dict[str, FloatArray]) -> None:
        """Load weights by the names of ``engine.model.checkpoint.weight_shapes``."""
        check_weights(self.shape, self.vocabulary_size, weights)
        for name, parameter in self.named_weights().items():
            parameter.set_value(weights[name])

    def weights(self) -> dict[str, FloatArray]:
        """The weights by the names of ``engine.model.checkpoint.weight_shapes``."""
        return {name: np.array(parameter.numpy()) for name, parameter in self.named_weights().items()}

    def named_weights(self) -> dict[str, Any]:
        """All trained parameters by their names in a model folder."""
        named = {"embedding.weight": self.embedding.weight}
        for layer in range(self.shape.num_layers):
            named[f"lstm.{layer}.weight_ih"] = getattr(self.lstm, f"weight_ih_l{layer}")
            named[f"lstm.{layer}.weight_hh"] = getattr(self.lstm, f"weight_hh_l{layer}")
            named[f"lstm.{layer}.bias"] = getattr(self.lstm, f"bias_ih_l{layer}")
        return {**named, "output.weight": self.output.weight, "output.bias": self.output.bias}

    def _initialise(self) -> None:
        """Embedding N(0, 1); recurrent weights orthogonal and input weights Xavier, per gate; forget bias 1."""
        draw, hidden = nn.initializer, self.shape.hidden_dim
        for name, parameter in self.named_weights().items():
            if name == "embedding.weight":
                draw.Normal(0.0, 1.0)(parameter)
            elif name == "output.weight":
                draw.XavierUniform()(parameter)
            elif name.endswith("bias"):
                value = np.zeros(parameter.shape, np.float32)
                if name.startswith("lstm"):
                    value[hidden : 2 * hidden] = 1.0  # the forget gate
                parameter.set_value(value)
            else:
                kind = draw.Orthogonal() if name.endswith("weight_hh") else draw.XavierUniform()
                gate = paddle.create_parameter([hidden, parameter.shape[1]], "float32")  # [H, E or H]
                gates = []
                for _ in range(4):
                    kind(gate)
                    gates.append(gate.numpy().copy())
                parameter.set_value(np.concatenate(gates))  # [4H, E or H]
