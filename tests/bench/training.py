"""Training tokens per second on this CPU: Paddle as ``fit`` runs it, and PyTorch with the same network and batch.

The last line is JSON.
    python -m tests.bench.training [--threads N]
"""

from __future__ import annotations

import argparse
import json
import statistics

import numpy as np

from engine.model.cpu import available_cores
from engine.model.folder import Shape
from engine.model.paddle_runtime import import_paddle
from tests.bench.speed import in_turn
from tests.bench.tutorial import TorchMissingError, import_torch

ROWS, LENGTH, VOCABULARY = 64, 64, 8293
"""4,096 tokens per batch, and the vocabulary size of the tutorial's file."""
PAD = VOCABULARY - 1


def measure(threads: int | None) -> dict[str, float]:
    paddle = import_paddle(threads)
    torch = import_torch()
    from engine.model.lstm import PoemLSTM

    shape = Shape()
    torch.set_num_threads(threads or available_cores())
    ids = np.random.default_rng(1).integers(0, PAD, (ROWS, LENGTH))
    model = PoemLSTM(VOCABULARY, shape)
    adam = paddle.optimizer.Adam(1e-3, parameters=model.parameters())

    def ours() -> None:
        loss = model.loss(paddle.to_tensor(ids), paddle.to_tensor(ids), PAD)
        loss.backward()
        adam.step()
        model.clear_gradients()

    embedding = torch.nn.Embedding(VOCABULARY, shape.embedding_dim)
    lstm = torch.nn.LSTM(shape.embedding_dim, shape.hidden_dim, shape.num_layers, batch_first=True)
    linear = torch.nn.Linear(shape.hidden_dim, VOCABULARY)
    weights = [*embedding.parameters(), *lstm.parameters(), *linear.parameters()]
    other = torch.optim.Adam(weights, 1e-3)
    batch = torch.from_numpy(ids)

    def theirs() -> None:
        scores = linear(lstm(embedding(batch))[0])  # [B, T, V]
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), batch.flatten())
        other.zero_grad()
        loss.backward()
        other.step()

    paddle_seconds, torch_seconds = (statistics.median(times) for times in in_turn(ours, theirs, 5))
    tokens = ROWS * LENGTH
    print(f"training: Paddle {tokens / paddle_seconds:.0f} tokens/s, PyTorch {tokens / torch_seconds:.0f} tokens/s")
    return {"training_ours_over_pytorch": torch_seconds / paddle_seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=None)
    try:
        found = measure(parser.parse_args().threads)
    except TorchMissingError as missing:
        print(missing)
        found = {}
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    main()
