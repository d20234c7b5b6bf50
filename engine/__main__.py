"""``python -m engine``: the worker, and the commands ``write``, ``check`` and ``dead``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from engine.contract import CodecError, PoemError, PoemRequest, outline
from engine.contract.arguments import SUCCESS, ArgumentParser, run_command
from engine.contract.codec import dumps
from engine.contract.pasted import poem_lines
from engine.contract.poem import FORMS, MODES
from engine.contract.queue.store import Queue
from engine.contract.request_fields import LEVEL_RHYMES
from engine.contract.script import Script
from engine.contract.settings import SettingError
from engine.generation.poet import RELEASED, Poet, read_prosody
from engine.model.cpu import threads_argument
from engine.model.folder import ModelFolderError
from engine.model.paddle_runtime import DEVICE_CHOICES, PaddleMissingError
from engine.model.versions import Versions
from engine.prosody.check import examine_lines
from engine.serving.batcher import PoetLike
from engine.serving.dead_letters import add_arguments as add_dead_arguments
from engine.serving.dead_letters import run as run_dead
from engine.serving.model_reload import ModelReload
from engine.serving.worker import main as work
from engine.settings import EngineSettings

FAULTS_FOUND = 1
DESCRIPTION = """The worker: takes jobs from Redis and writes poems. With a command: write or check a poem here."""
EXAMPLES = """examples:
  python -m engine --device cpu --threads 2
  python -m engine write continue 老夫聊发少年狂 --form 七绝 --seed 7
  python -m engine write acrostic 春风十里 --mood 欲穷千里目，更上一层楼
  python -m engine write theme 思乡 --form 五律
  python -m engine check poem.txt"""
DEAD_EXAMPLES = """examples:
  python -m engine dead list
  python -m engine dead retry 1795492440160-0"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Exit code 0: success, 1: environment error, 2: usage error, with one sentence on stderr."""
    options = _parser().parse_args(arguments)
    return run_command(
        lambda: int(options.run(options, EngineSettings.read(os.environ))),
        (PoemError, CodecError, SettingError),
        (ModelFolderError, PaddleMissingError),
    )


def _serve(options: argparse.Namespace, settings: EngineSettings) -> int:
    versions = Versions.of(settings.model_dir or RELEASED, settings.train_dir)

    def load(version: str) -> PoetLike:
        return _poet(options, settings, versions.find(version), settings.write_budget)

    def model_reload_for(queue: Queue) -> ModelReload[PoetLike]:
        return ModelReload(queue.models, load, versions.home_version(), versions.all_versions)

    return work(lambda: _poet(options, settings, budget=settings.write_budget), settings, model_reload_for)


def _write(options: argparse.Namespace, settings: EngineSettings) -> int:
    request = PoemRequest.from_json(
        {
            name: getattr(options, name)
            for name in ("mode", "text", "form", "rhyme", "mood", "lines", "seed", "candidates")
        }
    )
    outline(request)  # refuse invalid requests before loading a model
    if options.count < 1:
        raise CodecError("'--count' must be 1 or more")
    seeds = [None if request.seed is None else request.seed + i for i in range(options.count)]
    poems = _poet(options, settings).write([replace(request, seed=seed) for seed in seeds])
    if options.json:
        for poem in poems:
            print(dumps(poem.to_json()))
        return SUCCESS
    for number, poem in enumerate(poems):
        note = " · ".join(part for part in (poem.template or poem.form, poem.rhyme) if part)
        # The best of several candidates has another seed than the one requested.
        asked = "" if seeds[number] in (None, poem.seed) else f"--seed {seeds[number]}, or "
        alone = f"--seed {poem.seed} --candidates 1"
        print(f"{chr(10) if number else ''}{poem.text}\n\n（{note}）\nThis poem again: {asked}{alone}")
    return SUCCESS


def _check(options: argparse.Namespace, settings: EngineSettings) -> int:
    lines = poem_lines(_read_text(options.file))
    if not lines:
        raise PoemError(
            "empty", "没有诗可查：请给一首诗。", "There is no poem to check; send one, for example 床前明月光…"
        )
    report = examine_lines(lines, read_prosody(settings.model_dir or RELEASED), Script())
    if options.json:
        print(dumps(asdict(report)))
    else:
        print(" · ".join(part for part in (report.template or report.form, report.rhyme) if part))
        for line, tones in zip(report.lines, report.tones, strict=True):
            print(f"{line}\n{tones}")
        for fault in report.faults:
            place = f"第{fault.place}字" if fault.place else ""
            wanted = fault.wanted and f"，应作{fault.wanted}"
            print(f"第{fault.line}句{place}{fault.character and f'「{fault.character}」'}：{fault.name}{wanted}")
    return FAULTS_FOUND if report.faults else SUCCESS


def _read_text(name: str) -> str:
    """The text of a file, or of standard input for ``-``. CodecError: the file does not exist or is not UTF-8 text."""
    try:
        # In the C locale sys.stdin itself would accept invalid UTF-8.
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        what = "standard input" if name == "-" else name
        raise CodecError(f"{what} is not text in UTF-8; give a text file with one poem") from error
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        what = f"{name} is a folder" if isinstance(error, IsADirectoryError) else f"there is no file {name}"
        raise CodecError(f"{what}; name a text file with one poem, or - for standard input") from error


def _poet(
    options: argparse.Namespace, settings: EngineSettings, folder: Path | None = None, budget: float | None = None
) -> Poet:
    return Poet.load(
        folder or settings.model_dir or RELEASED,
        options.device,
        options.threads or settings.threads,
        settings.candidates,
        budget=budget,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _command(ArgumentParser(prog="python -m engine", description=DESCRIPTION, epilog=EXAMPLES), _serve)
    _add_device(parser)
    commands = parser.add_subparsers(metavar="COMMAND")
    write = _command(commands.add_parser("write", help="write poems on this machine", epilog=EXAMPLES), _write)
    write.add_argument("mode", choices=MODES)
    write.add_argument("text", metavar="TEXT", help="the opening line(s), the characters of the acrostic, or the theme")
    write.add_argument("--form", default="auto", metavar="F", help=" ".join(FORMS))
    write.add_argument(
        "--rhyme", metavar="R", help=f"a level-tone group of 平水韵: {LEVEL_RHYMES[0]} … {LEVEL_RHYMES[-1]}"
    )
    write.add_argument("--mood", metavar="M", help="verse that sets the mood but does not appear in the poem")
    write.add_argument("--lines", type=int, metavar="N", help="number of lines, for 排律 and acrostics")
    write.add_argument("--seed", type=int, metavar="S", help="the same seed gives the same poem")
    write.add_argument("--count", type=int, default=1, metavar="N", help="number of poems; poem i uses seed S + i")
    write.add_argument("--candidates", type=int, metavar="K", help="candidates to choose each poem from")
    write.add_argument("--json", action="store_true", help="print each poem as one line of JSON")
    _add_device(write)
    examine = _command(
        commands.add_parser("check", help="check the form, tones and rhyme of a poem", epilog=EXAMPLES), _check
    )
    examine.add_argument("file", metavar="FILE|-", help="a text file with one poem, or - for standard input")
    examine.add_argument("--json", action="store_true")
    dead = _command(
        commands.add_parser("dead", help="list, retry or drop dead letters", epilog=DEAD_EXAMPLES), run_dead
    )
    add_dead_arguments(dead)
    return parser


def _command(parser: argparse.ArgumentParser, run: object) -> argparse.ArgumentParser:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(run=run)
    return parser


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=DEVICE_CHOICES, default="auto")
    parser.add_argument("--threads", type=threads_argument, metavar="N", help="CPU cores to use (default: all)")


if __name__ == "__main__":
    sys.exit(main())
