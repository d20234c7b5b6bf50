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
from typing import Any, NoReturn

from engine.contract.settings import SettingError
from engine.generation.poet import Poet
from engine.model import checkpoint
from engine.model.checkpoint import ModelFolderError, read_part
from engine.model.cpu import threads_argument
from engine.model.onnx_backend import DECODER, OnnxBackend
from engine.model.paddle_runtime import DEVICE_CHOICES, PaddleMissingError, import_paddle
from train.data import corpus as corpora
from train.data.source import CorpusError
from train.evaluation.report import CANDIDATES, Ground, as_markdown, columns
from train.evaluation.rhyme_and_tone import Judge, TableError
from train.fit.config import PRESETS, ConfigError, TrainConfig, device_of, flag
from train.fit.data_parallel import rank_of, wait_for_run
from train.fit.flags import add_flags, given
from train.fit.progress import TrainingError
from train.fit.run_folder import Run, RunError, Setup
from train.fit.summary import summary
from train.settings import TrainSettings

EXAMPLES = {
    "prepare": "python -m train prepare --source npm",
    "fit": "python -m train fit --run second --epochs 4\n  python -m train fit --resume --run second",
    "evaluate": "python -m train evaluate engine/models/tang --json",
    "export": "python -m train export second --out models/second",
    "worker": "python -m train worker --device cpu --threads 2",
}

OF_THE_MODEL = {"num_layers", "embedding_dim", "hidden_dim", "initialisation"}


class _Parser(argparse.ArgumentParser):
    """One sentence on stderr and exit 2, without the usage in front."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command; the exit code: 0 well, 1 the surroundings failed, 2 bad input or a bad setting."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as done:
        return int(done.code or 0)
    try:
        options.environment = environment
        result = options.command(options, Path(environment.get("TRAIN_DIR") or "runs"))
        if options.json:
            print(json.dumps(result, ensure_ascii=False))
        else:
            print(as_markdown(result["columns"]) if "columns" in result else _readable(result))
    except KeyboardInterrupt:
        return 0
    except (ConfigError, RunError, SettingError, TableError) as error:
        print(f"python -m train: {error}", file=sys.stderr)
        return 2
    except (CorpusError, ModelFolderError, PaddleMissingError, TrainingError) as error:
        print(f"python -m train: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"python -m train: {error.filename or 'the disk'}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def prepare(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    return corpora.prepare(options.source, home / "corpus", options.song)


def fit(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    settings = given(options)
    name = str(settings.pop("model_prefix", PRESETS[options.preset].model_prefix))
    run = Run(_run_folder(name, home))
    if options.device != "auto":
        settings["use_gpu"] = options.device == "gpu"
    if options.resume and settings.keys() - {"use_gpu"}:
        first = min(settings.keys() - {"use_gpu"})
        raise ConfigError(
            f"{flag(first)} does not go with --resume: a run goes on with the settings that it began with"
        )
    if settings.get("model_path") and (own := sorted(settings.keys() & OF_THE_MODEL)):
        raise ConfigError(f"{flag(own[0])} does not go with --from: the model brings its own")
    with _asked_to_stop() as asked_to_stop:
        import_paddle(options.threads)  # first of all that imports Paddle
        if not options.resume:
            config = PRESETS[options.preset].with_settings({**settings, "model_prefix": run.folder.name})
            if rank_of(options.environment)[0] == 0:
                run = _new_run(run.folder, config, home)
            else:
                wait_for_run(run.folder)
        setup = run.setup()
        folder, song = _corpus_folder(setup.config, home), setup.config.song_share > 0
        corpus = corpora.load(folder, song)
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


def evaluate(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    folder = Path(options.model)
    model = checkpoint.load(folder)
    corpus = corpora.load(Path(options.data_path) if options.data_path else home / "corpus")
    poet = Poet.load(folder, "cpu", options.threads, CANDIDATES)
    import_paddle(options.threads)
    from train.export.model_folder import measure

    judge = Judge.read(Path(options.rhyme_table)) if options.rhyme_table else Judge.of(poet.prosody)
    ground = Ground.of(corpus, judge, options.poems, options.seed)
    backend = OnnxBackend(read_part(folder, DECODER), model, options.threads)
    table = columns(poet, backend, model.vocabulary, ground, lambda line: print(line, file=sys.stderr))
    for name in ("ours", "tutorial"):  # the same weights, decoded in two ways
        table[name]["perplexity"] = measure(model, corpus, options.device)
    result = {
        "model": model.version,
        "poems": options.poems,
        "seed": options.seed,
        "rhyme_table": Path(options.rhyme_table).name if options.rhyme_table else "the model's own",
        "columns": table,
    }
    if options.record:
        checkpoint.record(folder, {"evaluation": result})
    return result


def export(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    if options.run.endswith(".safetensors"):
        return _export_weights(options, home)
    if options.notes or options.model_path:
        raise ConfigError("--notes and --from go with a FILE.safetensors; a run knows how it was trained")
    run = Run(_run_folder(options.run, home))
    setup = run.setup()
    import_paddle(options.threads)
    from train.export.model_folder import export as write

    return write(run, _corpus(setup.config, home), Path(options.out), options.version, options.device)


def _export_weights(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    if not options.notes or not options.model_path:
        raise ConfigError(
            "weights need --from DIR, the model they went on from, and --notes FILE, how they were trained"
        )
    import_paddle(options.threads)
    from train.export.model_folder import export_weights

    base, notes, out = Path(options.model_path), Path(options.notes), Path(options.out)
    return export_weights(Path(options.run), base, notes, home / "corpus", out, options.version, options.device)


def worker(options: argparse.Namespace, _: Path) -> dict[str, Any]:
    from train.retrain.order import Manner
    from train.retrain.worker import main

    settings = TrainSettings.read(options.environment)
    main(settings, Manner(options.device, options.threads, options.poems, options.save_every))
    return {"trainer": "stopped"}


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """SIGTERM and Ctrl-C become an answer that the loop asks for, so that it ends with a checkpoint."""
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _new_run(folder: Path, config: TrainConfig, home: Path) -> Run:
    corpus, parent = _corpus(config, home), None
    vocabulary = corpus.vocabulary()
    if config.model_path:
        from train.export.model_folder import parent_card

        model, parent = checkpoint.load(Path(config.model_path)), parent_card(Path(config.model_path))
        vocabulary = model.vocabulary
        config = dataclasses.replace(config, **dataclasses.asdict(model.shape))
    manifest = corpora.manifest(_corpus_folder(config, home), config.song_share > 0)
    return Run.create(folder, Setup(config, vocabulary, manifest, parent))


def _corpus_folder(config: TrainConfig, home: Path) -> Path:
    return Path(config.data_path) if config.data_path else home / "corpus"


def _corpus(config: TrainConfig, home: Path) -> corpora.Corpus:
    return corpora.load(_corpus_folder(config, home))


def _run_folder(name: str, home: Path) -> Path:
    """A bare name stands below TRAIN_DIR, anything with a separator is a path."""
    return home / name if Path(name).name == name else Path(name)


def _readable(result: Mapping[str, Any]) -> str:
    """A line a value; of what lies deeper only the first level. ``--json`` gives all of it."""
    return "\n".join(f"{name}: {_flat(value)}" for name, value in result.items() if not isinstance(value, list))


def _flat(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return ", ".join(f"{name} {part}" for name, part in value.items() if not isinstance(part, dict | list))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m train",
        description="Prepare the corpus, train, measure, release.",
        epilog=f"example:\n  {EXAMPLES['prepare']}\n  {EXAMPLES['fit']}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def add(name: str, what: str, command: Any) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(
            name,
            help=what,
            description=what,
            epilog=f"example:\n  {EXAMPLES[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="print JSON on stdout and nothing else there")
        return sub

    sub = add("prepare", "Fetch, clean and split the corpus into TRAIN_DIR/corpus.", prepare)
    sub.add_argument(
        "--source",
        default="npm",
        metavar="npm|DIR|FILE.npz",
        help="the npm package, a folder of chinese-poetry JSON, or the tutorial's file (npm)",
    )
    sub.add_argument("--no-song", dest="song", action="store_false", help="the Tang poems alone, without song.txt")

    sub = add("fit", "Train; a checkpoint every few minutes, also at Ctrl-C.", fit)
    sub.add_argument("--preset", choices=list(PRESETS), default="best", help="where the settings begin (best)")
    sub.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of the run")
    _add_machine(sub)
    add_flags(sub)

    sub = add("evaluate", "Measure a model folder: ours, the tutorial's decoder, the poets.", evaluate)
    sub.add_argument("model", nargs="?", default="engine/models/tang", help="model folder (engine/models/tang)")
    sub.add_argument("--poems", type=_positive, default=400, metavar="N", help="poems a form (400)")
    sub.add_argument("--seed", type=int, default=1, metavar="N", help="of the first poem of a form (1)")
    sub.add_argument("--rhyme-table", default="", metavar="FILE", help="judge by {character: [[tone, group], ...]}")
    sub.add_argument("--record", action="store_true", help="write the table into the folder's card")
    sub.add_argument("--data-path", default="", help="folder of the prepared corpus (TRAIN_DIR/corpus)")
    _add_machine(sub)

    sub = add("export", "Make a model folder of a run's newest checkpoint, or of weights trained elsewhere.", export)
    sub.add_argument("run", help="name of the run below TRAIN_DIR, or its path; or a FILE.safetensors")
    sub.add_argument("--from", dest="model_path", default="", metavar="DIR", help="the model that a FILE went on from")
    sub.add_argument("--notes", default="", metavar="FILE", help="how a FILE was trained: a list of legs in JSON")
    sub.add_argument(
        "--out", required=True, metavar="DIR", help="where the model folder goes; an older model there is replaced"
    )
    sub.add_argument("--version", default="", help="name of this version (run, date and step)")
    _add_machine(sub)

    sub = add("worker", "The retrain service: takes what an admin orders with /retrain from Redis.", worker)
    sub.add_argument("--poems", type=_positive, default=40, metavar="N", help="poems a form in the table (40)")
    sub.add_argument("--save-every", type=float, default=2.0, metavar="MIN", help="minutes between checkpoints (2)")
    _add_machine(sub)
    return parser


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="where to compute (auto)")
    parser.add_argument("--threads", type=threads_argument, metavar="N", help="threads on a CPU (every core)")


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:], os.environ))
