"""The settings of a training run: one dataclass, each field a command-line flag."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from engine.model.folder import Shape
from engine.model.paddle_runtime import DeviceChoice

Preset = Literal["best", "release", "tutorial"]


class ConfigError(ValueError):
    """An invalid setting; the message names it and says what would be valid."""


_SHORT_FLAGS = {"epoch": "--epochs", "model_path": "--from", "model_prefix": "--run"}


def flag(name: str) -> str:
    """The documented flag of a setting; the tutorial's name for it works as well."""
    return _SHORT_FLAGS.get(name, f"--{name.replace('_', '-')}")


def _setting(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class TrainConfig:
    """The settings of ``fit``. The defaults are the tutorial's; ours are in ``PRESETS``."""

    num_layers: int = _setting(3, "LSTM layers")
    data_path: str = _setting("", "folder of the prepared corpus (default: TRAIN_DIR/corpus)")
    lr: float = _setting(1e-3, "peak learning rate of Adam")
    use_gpu: bool | None = _setting(None, "same as --device gpu; --no-use-gpu: same as --device cpu")
    epoch: float = _setting(20, "length of the run in passes over the Tang poems (may be fractional)")
    batch_size: int = _setting(4, "poems per batch, if --batch-tokens is empty")
    maxlen: int = _setting(125, "poems are truncated to this many ids, including <START> and <EOP>")
    plot_every: int = _setting(1000, "steps between loss curves and sample poems")
    max_gen_len: int = _setting(200, "maximum characters in a sample poem")
    model_path: str = _setting("", "model folder to start from; same as --from")
    prefix_words: str = _setting("欲穷千里目，更上一层楼", "mood of the sample poem")
    start_words: str = _setting("老夫聊发少年狂，", "opening of the sample poem")
    model_prefix: str = _setting("tang", "name of the run in TRAIN_DIR, or its path")
    embedding_dim: int = _setting(256, "width of the embedding")
    hidden_dim: int = _setting(512, "width of an LSTM layer")

    batch_tokens: tuple[int, ...] = _setting((), "tokens per batch, growing during the run: 512,1024,2048")
    batch_growth: tuple[float, ...] = _setting((), "when the batch grows, as fractions of the run: 0.08,0.5")
    schedule: Literal["constant", "cosine"] = _setting("constant", "learning rate schedule")
    warmup: int = _setting(0, "steps of learning rate warm-up")
    cosine_from: float = _setting(0.0, "fraction of the run at the peak rate before the cosine begins")
    final_lr: float = _setting(0.05, "final learning rate of the cosine, as a fraction of the peak")
    clip: float = _setting(0.0, "maximum gradient norm (2-norm over all weights); 0 disables clipping")
    dropout: float = _setting(0.0, "dropout probability in training")
    initialisation: Literal["careful", "default"] = _setting("default", "initial weights; see engine/model/lstm.py")
    song_share: float = _setting(0.0, "share of Song poems in each pool of poems; 0: Tang only")
    tang_from: float = _setting(0.6, "fraction of the run after which only Tang poems are used")
    minutes: float = _setting(0.0, "end the run, including its schedule, after this time; 0: only --epoch counts")
    save_every: float = _setting(5.0, "minutes between checkpoints")
    validate_every: float = _setting(10.0, "minutes between validations; each epoch also ends with one")
    teacher: str = _setting("", "model folder whose distribution is learned beside the text")
    teacher_share: float = _setting(0.7, "share of the teacher's distribution in what is learned, the rest is the text")
    seed: int = _setting(1, "seed of initial weights, order and dropout")

    def __post_init__(self) -> None:
        for name in ("num_layers", "batch_size", "plot_every", "max_gen_len", "embedding_dim", "hidden_dim"):
            self._want(getattr(self, name) >= 1, name, "at least 1")
        for name in ("lr", "epoch", "save_every", "validate_every"):
            self._want(getattr(self, name) > 0, name, "above 0")
        for name in ("warmup", "clip", "minutes", "seed"):
            self._want(getattr(self, name) >= 0, name, "0 or more")
        self._want(self.maxlen >= 3, "maxlen", "at least 3: <START>, a character, <EOP>")
        self._want(0 <= self.dropout < 1, "dropout", "from 0 to below 1")
        for name in ("final_lr", "tang_from", "teacher_share"):
            self._want(0 <= getattr(self, name) <= 1, name, "from 0 to 1")
        for name in ("cosine_from", "song_share"):
            self._want(0 <= getattr(self, name) < 1, name, "from 0 to below 1")
        self._want(all(tokens >= 1 for tokens in self.batch_tokens), "batch_tokens", "whole numbers above 0")
        growth = self.batch_growth
        rising = list(growth) == sorted(growth) and all(0 < part < 1 for part in growth)
        self._want(rising, "batch_growth", "rising parts between 0 and 1")
        wanted = max(0, len(self.batch_tokens) - 1)
        self._want(len(growth) == wanted, "batch_growth", f"{wanted} parts for {len(self.batch_tokens)} batch sizes")

    @property
    def shape(self) -> Shape:
        return Shape(self.embedding_dim, self.hidden_dim, self.num_layers)

    @property
    def device(self) -> DeviceChoice:
        return device_of(self.use_gpu)

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """A copy with these settings; batch sizes given without growth points get equal fractions of the run."""
        sizes = len(settings.get("batch_tokens", ()))
        growth = {"batch_growth": tuple(i / sizes for i in range(1, sizes))} if "batch_tokens" in settings else {}
        return dataclasses.replace(self, **{**growth, **settings})

    def tokens_per_batch(self, progress: float) -> int:
        """Tokens per batch at this fraction of the run; 0 if batches are counted in poems."""
        if not self.batch_tokens:
            return 0
        return self.batch_tokens[sum(progress >= part for part in self.batch_growth)]

    def song_share_at(self, progress: float) -> float:
        """The share of Song poems at this fraction of the run."""
        return self.song_share if progress < self.tang_from else 0.0

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        lists = {name: tuple(item) for name, item in value.items() if isinstance(item, list)}
        return cls(**{**value, **lists})

    def _want(self, right: bool, name: str, what: str) -> None:
        if not right:
            raise ConfigError(f"{flag(name)} is {getattr(self, name)}; it must be {what}")


def device_of(use_gpu: bool | None) -> DeviceChoice:
    """The device for the tutorial's setting."""
    return "auto" if use_gpu is None else "gpu" if use_gpu else "cpu"


PRESETS: dict[Preset, TrainConfig] = {
    "tutorial": TrainConfig(),
    "best": TrainConfig(
        lr=2e-3,
        epoch=10,
        batch_tokens=(512, 1024, 2048),
        batch_growth=(0.08, 0.5),
        schedule="cosine",
        warmup=200,
        clip=1.0,
        dropout=0.2,
        initialisation="careful",
    ),
    "release": TrainConfig(
        lr=1.2e-3,
        epoch=40,
        maxlen=252,
        batch_tokens=(512, 1024, 2048, 4096),
        batch_growth=(0.01, 0.04, 0.1),
        schedule="cosine",
        warmup=200,
        cosine_from=0.35,
        final_lr=0.03,
        clip=1.0,
        dropout=0.2,
        initialisation="careful",
        song_share=0.5,
        tang_from=0.6,
    ),
}
"""``best``: a few hours on one CPU, Tang only. ``release``: the recipe of the released weights, 120 million tokens."""
