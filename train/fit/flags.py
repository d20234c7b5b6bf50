"""Command-line flags for every field of ``TrainConfig``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

from train.fit.config import PRESETS, ConfigError, TrainConfig, flag

MODEL_SETTINGS = {"num_layers", "embedding_dim", "hidden_dim", "initialisation"}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each setting; settings without their flag keep the preset's value."""
    hints = get_type_hints(TrainConfig)
    group = parser.add_argument_group("settings (defaults: preset best)")
    for field in dataclasses.fields(TrainConfig):
        flags = list(dict.fromkeys([f"--{field.name.replace('_', '-')}", flag(field.name)]))
        default = _default_text(getattr(PRESETS["best"], field.name))
        text = f"{field.metadata['help']} ({default})" if default else str(field.metadata["help"])
        options: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        if hints[field.name] == bool | None:
            group.add_argument(*flags, action=argparse.BooleanOptionalAction, **options)
        elif choices := get_args(hints[field.name]) if isinstance(field.default, str) else ():
            group.add_argument(*flags, choices=choices, **options)
        else:
            group.add_argument(*flags, type=_parser_of(hints[field.name]), metavar="X", **options)


def fit_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings given on the command line. ConfigError: they cannot be combined."""
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    settings = {name: value for name, value in vars(options).items() if name in names}
    if settings.get("model_prefix") == "":
        raise ConfigError("--run is empty; it must be a name, or a path")
    if options.device != "auto":
        settings["use_gpu"] = options.device == "gpu"
    if options.resume and (fixed := sorted(settings.keys() - {"model_prefix", "use_gpu"})):
        raise ConfigError(
            f"{flag(fixed[0])} cannot be combined with --resume: a run continues with its original settings"
        )
    if settings.get("model_path") and (own := sorted(settings.keys() & MODEL_SETTINGS)):
        raise ConfigError(f"{flag(own[0])} does not go with --from: the model brings its own")
    if "teacher_share" in settings and not settings.get("teacher"):
        raise ConfigError("--teacher-share needs --teacher DIR, the model folder that teaches")
    return settings


def _parser_of(kind: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            if kind == tuple[int, ...] or kind == tuple[float, ...]:
                return tuple(get_args(kind)[0](item) for item in text.split(",") if item.strip())
            return kind(text)
        except ValueError as error:
            wanted = {int: "a whole number", float: "a number"}.get(kind, "numbers separated by commas")
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from error

    return read


def _default_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
