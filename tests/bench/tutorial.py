"""The tutorial's loop in eager PyTorch: a network of the released shape with random weights, and arg-max."""

from __future__ import annotations

from typing import Any

from engine.model.folder import Shape


class TorchMissingError(Exception):
    """PyTorch, an optional extra of the benchmarks, is not installed."""


def import_torch() -> Any:
    """Raises TorchMissingError if it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise TorchMissingError("PyTorch is not installed; with it (pip install torch) more is compared") from error
    return torch


class Tutorial:
    """One poem at a time: feed a character, take the likeliest next, as many steps as asked for."""

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        torch = import_torch()
        self._torch = torch
        self._embedding = torch.nn.Embedding(vocabulary, shape.embedding_dim)
        self._lstm = torch.nn.LSTM(shape.embedding_dim, shape.hidden_dim, shape.num_layers)
        self._linear = torch.nn.Linear(shape.hidden_dim, vocabulary)

    def write(self, steps: int) -> list[int]:
        torch = self._torch
        found = []
        with torch.no_grad():
            word, state = torch.zeros(1, 1, dtype=torch.long), None  # [1, 1]
            for _ in range(steps):
                hidden, state = self._lstm(self._embedding(word), state)  # [1, 1, H]
                word = self._linear(hidden[0]).argmax(dim=1, keepdim=True)  # [1, 1]
                found.append(int(word))
        return found
