"""Sources of poems: the chinese-poetry package, verified by hash, or a folder with its files."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

PACKAGE = "chinese-poetry@2.0.1"
PACKAGE_SHA1 = "b6e7e60d0accac7c723d066a5c360549aab8299d"

Dynasty = Literal["tang", "song"]
T = TypeVar("T")

_FILE_NUMBER = re.compile(r"(\d+)\.json$")


class CorpusError(Exception):
    """The corpus could not be fetched or read; the message says what to do."""


def read_poems(folder: Path, dynasty: Dynasty) -> Iterator[str]:
    """The raw text of each poem of a dynasty in a folder of chinese-poetry JSON; shows a progress bar on terminals.

    Tang poems are in ``poet.tang.*.json``, or else in all files that are not Song's; CorpusError if there are none.
    Song poems are in ``poet.song.*.json``, which may be missing.
    """
    files = list(folder.glob(f"poet.{dynasty}.*.json"))
    if dynasty == "tang" and not files:
        files = [file for file in folder.glob("*.json") if not file.match("poet.song.*.json")]
        if not files:
            raise CorpusError(f"{folder} has no chinese-poetry JSON; give a folder with poet.tang.*.json files")
    for file in _with_bar(sorted(files, key=_by_number), f"{dynasty.title()} poems"):
        try:
            for poem in json.loads(file.read_text("utf-8")):
                yield "".join(poem["paragraphs"])
        except (ValueError, KeyError, TypeError) as error:
            raise CorpusError(
                f"{file} is not chinese-poetry JSON (a list of poems with 'paragraphs'): {error}"
            ) from error


def _with_bar(items: Iterable[T], what: str) -> Iterable[T]:
    """``items``, with a progress bar if stderr is a terminal."""
    from tqdm import tqdm  # in the extra `train`; not needed unless poems are read

    counted: Iterable[T] = tqdm(items, what, unit="file", disable=None)
    return counted


def _npm_reason(stderr: str) -> str:
    """The most informative line of npm's output: the one with "reason:", else the first sentence, else a code."""
    lines = [re.sub(r"^npm\s+(error|ERR!)?\s*", "", line).strip() for line in stderr.splitlines()]
    lines = [line for line in lines if line]
    informative = [line for line in lines if not re.match(r"(code|errno|syscall|path|dest) ", line)]
    best = [*(line for line in informative if "reason:" in line), *informative, *lines, "it gave no reason"]
    return best[0][:300]


def fetch_package(into: Path, song: bool) -> Path:
    """Download the corpus package with npm, verify its hash, unpack the Tang poems and, if ``song``, the Song poems."""
    npm = shutil.which("npm")
    if npm is None:
        raise CorpusError("npm is not installed; install it or name a folder with --source DIR")
    command = [npm, "pack", PACKAGE, "--loglevel=error", "--pack-destination=."]
    ran = subprocess.run(  # noqa: S603  all constants
        command, cwd=into, check=False, capture_output=True, text=True, errors="replace"
    )
    archive = next(into.glob("*.tgz"), None)
    if ran.returncode or archive is None:
        raise CorpusError(
            f"npm could not fetch {PACKAGE}: {_npm_reason(ran.stderr)}; try again, or name a folder with --source DIR"
        )
    with archive.open("rb") as content:
        digest = hashlib.file_digest(content, "sha1").hexdigest()
    if digest != PACKAGE_SHA1:
        raise CorpusError(
            f"{PACKAGE} has the hash {digest}, not {PACKAGE_SHA1}: it is not the corpus this was built for"
        )
    folder = into / "poems"
    folder.mkdir()
    wanted = ("poet.tang.*.json", "poet.song.*.json") if song else ("poet.tang.*.json",)
    with tarfile.open(archive) as package:
        for member in _with_bar(package, "unpacking"):
            path = Path(member.name)
            if member.isfile() and path.parent.name == "quantangshi" and any(map(path.match, wanted)):
                content_file = package.extractfile(member)
                assert content_file is not None  # not None for a regular file
                (folder / path.name).write_bytes(content_file.read())
    return folder


def _by_number(file: Path) -> tuple[int, str]:
    number = _FILE_NUMBER.search(file.name)
    return (int(number[1]) if number else 0, file.name)
