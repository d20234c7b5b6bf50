"""The commands of ``python -m train``. Each is given the parsed arguments and TRAIN_DIR, and returns what to print."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from engine.generation.poet import Poet
from engine.model import checkpoint
from engine.model.folder import read_part
from engine.model.onnx_backend import DECODER, OnnxBackend
from engine.model.paddle_runtime import import_paddle
from train.command_line import Command
from train.data import corpus as corpora
from train.evaluation.blind_reading import Side, score_answers, write_pairs
from train.evaluation.report import EVALUATION_CANDIDATES, EvalContext, evaluation_columns
from train.evaluation.rhyme_and_tone import RhymeToneTable
from train.export.card import ancestor
from train.fit.config import PRESETS, ConfigError, TrainConfig, device_of
from train.fit.data_parallel import locked_by_first, rank_of, wait_for_run
from train.fit.flags import fit_settings
from train.fit.progress import stop_signals
from train.fit.run_folder import Run, RunError, Setup
from train.fit.summary import summary
from train.fit.teacher import find_teacher, teacher_identity
from train.readers.marks import read_marks, require_known
from train.readers.preference import relearn
from train.settings import TrainSettings


def _prepare(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    return corpora.prepare(options.source, train_dir / "corpus", options.song)


def _fit(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    settings = fit_settings(options)
    name = str(settings.pop("model_prefix", PRESETS[options.preset].model_prefix))
    run = Run(_run_folder(name, train_dir))
    with stop_signals() as stop_requested:
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
            raise RunError(f"{run.folder} was started with another corpus; prepare that one again, or start a new run")

        from train.fit.progress_bar import ProgressBar
        from train.fit.trainer import Trainer

        device = device_of(settings.get("use_gpu", setup.config.use_gpu))
        with locked_by_first(run, options.environment), closing(ProgressBar()) as bar:
            trainer = Trainer(run, corpus, bar.show, stop_requested, device)
            state = trainer.train()
    return summary(run.folder, name, setup, state, trainer.loss, trainer.finished)


def _evaluate(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    if options.duel and not options.pairs:
        raise ConfigError("--duel needs --pairs DIR, the folder where the pairs go")
    if options.score:
        return score_answers(Path(options.score))
    folder = Path(options.model)
    model = checkpoint.load(folder)
    corpus = corpora.load_corpus(Path(options.data_path) if options.data_path else train_dir / "corpus")
    if options.pairs:
        return _write_pairs(options, corpus)
    poems = options.poems or 400
    poet = Poet.load(folder, "cpu", options.threads, EVALUATION_CANDIDATES)
    import_paddle(options.threads)
    from train.export.model_folder import held_out_perplexities

    judge = RhymeToneTable.read(Path(options.rhyme_table)) if options.rhyme_table else RhymeToneTable.of(poet.prosody)
    context = EvalContext.of(corpus, judge, poems, options.seed)
    backend = OnnxBackend(read_part(folder, DECODER), model, options.threads)
    table = evaluation_columns(poet, backend, model.vocabulary, context, _print_progress)
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


def _write_pairs(options: argparse.Namespace, corpus: corpora.Corpus) -> dict[str, Any]:
    side, rival = Side(Poet.load(options.model, "cpu", options.threads), options.candidates), None
    if options.duel:
        candidates = options.duel_candidates or options.candidates
        rival = Side(Poet.load(options.duel, "cpu", options.threads), candidates)
    poems = options.poems or 10
    return {"pairs": write_pairs(Path(options.pairs), corpus, side, rival, poems, options.seed, _print_progress)}


def _print_progress(line: str) -> None:
    print(line, file=sys.stderr)


def _export(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    if options.run.endswith(".safetensors"):
        return _export_weights(options, train_dir)
    if options.notes or options.model_path:
        raise ConfigError("--notes and --from go with a FILE.safetensors; a run knows how it was trained")
    run = Run(_run_folder(options.run, train_dir))
    setup = run.setup()
    import_paddle(options.threads)
    from train.export.model_folder import export_run

    corpus = corpora.load_corpus(_corpus_folder(setup.config, train_dir), setup.config.song_share > 0)
    return export_run(run, corpus, Path(options.out), options.version, options.device)


def _export_weights(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    if not options.notes or not options.model_path:
        raise ConfigError(
            "weights need --from DIR, the model they went on from, and --notes FILE, how they were trained"
        )
    import_paddle(options.threads)
    from train.export.model_folder import export_weights

    base, notes, out = Path(options.model_path), Path(options.notes), Path(options.out)
    return export_weights(Path(options.run), base, notes, train_dir / "corpus", out, options.version, options.device)


def _preference(options: argparse.Namespace, _: Path) -> dict[str, Any]:
    return relearn(Path(options.model), Path(options.marks), options.version, options.skip)


def _align(options: argparse.Namespace, train_dir: Path) -> dict[str, Any]:
    base, out, poems = Path(options.model), Path(options.out), read_marks(Path(options.marks), options.skip)
    model = checkpoint.load(base)
    require_known(model.vocabulary, poems, options.marks)
    import_paddle(options.threads)
    from train.export.model_folder import export_aligned
    from train.readers.alignment import align

    folder, song = train_dir / "corpus", "start_symbols" in model.card
    corpus, manifest = corpora.load_corpus(folder, song), corpora.manifest(folder, song)

    train, device = corpus.poems["train"], options.device
    aligned = partial(align, corpus=train, epochs=options.epochs, device=device, report=_print_progress)
    return export_aligned(base, poems, aligned, corpus, manifest, out, options.version, device, options.skip)


def _worker(options: argparse.Namespace, _: Path) -> dict[str, Any]:
    from train.retrain.context import TrainOptions
    from train.retrain.worker import main

    settings = TrainSettings.read(options.environment)
    main(settings, TrainOptions(options.device, options.threads, options.poems, options.save_every))
    return {"trainer": "stopped"}


def _new_run(folder: Path, config: TrainConfig, train_dir: Path) -> Run:
    corpus_folder, parent = _corpus_folder(config, train_dir), None
    vocabulary = corpora.load_corpus(corpus_folder).vocabulary()
    if config.model_path:
        model = checkpoint.load(Path(config.model_path))
        vocabulary, parent = model.vocabulary, ancestor(model.card)
        config = dataclasses.replace(config, **dataclasses.asdict(model.shape))
    manifest = corpora.manifest(corpus_folder, config.song_share > 0)
    teacher = teacher_identity(find_teacher(Path(config.teacher), vocabulary)) if config.teacher else None
    return Run.create(folder, Setup(config, vocabulary, manifest, parent, teacher))


def _corpus_folder(config: TrainConfig, train_dir: Path) -> Path:
    return Path(config.data_path) if config.data_path else train_dir / "corpus"


def _run_folder(name: str, train_dir: Path) -> Path:
    """A bare name is a folder below TRAIN_DIR; anything with a separator is a path."""
    return train_dir / name if Path(name).name == name else Path(name)


COMMANDS: dict[str, Command] = {
    "prepare": _prepare,
    "fit": _fit,
    "evaluate": _evaluate,
    "export": _export,
    "preference": _preference,
    "align": _align,
    "worker": _worker,
}
