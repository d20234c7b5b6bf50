"""Command-line flags for every field of ``TrainConfig``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

from train.fit.config import PRESETS, TrainConfig, flag


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


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings given on the command line."""
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    return {name: value for name, value in vars(arguments).items() if name in names}


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
