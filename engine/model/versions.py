"""The model versions on this machine: the one that came with the program, and those trained since."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.contract.codec import CodecError, decode, skip_unreadable
from engine.contract.version_info import VersionInfo
from engine.model.folder import ModelFolderError, read_card

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Versions:
    """``home``: the model folder that came with the program; ``folder``: contains the later versions by name."""

    home: Path
    folder: Path

    @classmethod
    def of(cls, home: Path, train_dir: Path) -> Versions:
        return cls(home, train_dir / "models")

    def find(self, version: str) -> Path:
        """The folder of a version. ModelFolderError: this machine does not have it."""
        if _NAME.fullmatch(version) and (self.folder / version / "card.json").is_file():
            return self.folder / version
        if version == self.home_version():
            return self.home
        raise ModelFolderError(f"there is no version {version} on this machine")

    def home_version(self) -> str:
        return self._info(self.home).version

    def all_versions(self) -> list[VersionInfo]:
        """Information on every version here, the home version first; unreadable folders are skipped."""
        infos = []
        for place in (self.home, *self._trained()):
            try:
                infos.append(self._info(place))
            except ModelFolderError as error:
                skip_unreadable(f"version {place.name}", CodecError(str(error)))
        return infos

    def prune(self, keep: int, in_use: Iterable[str]) -> list[str]:
        """Delete all but ``keep`` trained versions, preferring those in use and then the newest; versions in use and
        the home version are never deleted. Returns the deleted ones."""
        used = set(in_use)
        home = self.home.resolve()
        trained = [place for place in self._trained() if not home.is_relative_to(place.resolve())]
        newest = sorted(trained, key=lambda place: place.lstat().st_mtime_ns, reverse=True)
        wanted = sorted(newest, key=lambda place: place.name not in used)  # stable: the used ones first
        staying = {place for i, place in enumerate(wanted) if i < keep or place.name in used}
        gone = [place for place in newest if place not in staying]
        for place in gone:
            shutil.rmtree(place, ignore_errors=True)
        return [place.name for place in gone]

    def _trained(self) -> list[Path]:
        try:
            return [place for place in sorted(self.folder.iterdir()) if _NAME.fullmatch(place.name) and place.is_dir()]
        except OSError:
            return []

    def _info(self, place: Path) -> VersionInfo:
        card = read_card(place)
        home = place == self.home
        # A trained version is known by its folder, so that a copied card cannot shadow another.
        name = (card.get("version") or card["parts"]["weights.safetensors"][:12]) if home else place.name
        try:
            perplexity, parent = card.get("perplexity") or {}, card.get("parent") or {}
            fields = {
                "version": name,
                "date": card.get("date") or "",
                "validation": perplexity.get("validation"),
                "test": perplexity.get("test"),
                "parent": parent.get("version") or "",
                "home": home,
            }
            return decode(VersionInfo, fields)
        except (CodecError, AttributeError) as error:
            raise ModelFolderError(f"{place / 'card.json'}: {error}") from error
