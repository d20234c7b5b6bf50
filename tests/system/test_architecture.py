"""The arrows between the packages, read from the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bot", "engine", "train")
CONTRACT = "engine.contract"
HEAVY = ("paddle", "numpy", "onnxruntime", "onnx", "matplotlib", "safetensors")


def modules(package: str) -> list[Path]:
    """The files of a package, given with dots."""
    return sorted((ROOT / package.replace(".", "/")).rglob("*.py"))


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file; relative imports made whole."""
    here = file.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def offenders(package: str, forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in modules(package)
        for name in imports(file)
        if any(within(name, f) for f in forbidden) and not any(within(name, a) or within(a, name) for a in allowed)
    ]


def test_every_package_is_looked_at() -> None:
    for package in (*PACKAGES, CONTRACT):
        assert modules(package), package


def test_the_bot_imports_nothing_of_the_engine_but_the_contract() -> None:
    assert offenders("bot", ("engine", "train"), (CONTRACT,)) == []


def test_the_engine_imports_neither_bot_nor_train() -> None:
    assert offenders("engine", ("bot", "train")) == []


def test_training_does_not_import_the_bot() -> None:
    assert offenders("train", ("bot",)) == []


def test_the_contract_imports_nothing_of_the_engine_but_itself() -> None:
    assert offenders(CONTRACT, PACKAGES, (CONTRACT,)) == []


def test_bot_and_contract_know_neither_paddle_nor_numpy() -> None:
    for package in ("bot", CONTRACT):
        assert offenders(package, HEAVY) == []


def test_only_the_backend_of_paddle_and_training_know_paddle() -> None:
    files = {line.split(" imports ")[0] for line in offenders("engine", ("paddle",))}
    assert files <= {"engine/model/paddle_backend.py", "engine/model/lstm.py", "engine/model/paddle_runtime.py"}


def test_only_the_queue_and_those_who_use_it_know_redis() -> None:
    files = {line.split(" imports ")[0] for line in offenders("engine", ("redis",))}
    users = {
        "engine/serving/worker.py",
        "engine/serving/shutdown.py",
        "engine/serving/dead_letters.py",
        "engine/serving/healthcheck.py",
    }
    assert {file for file in files if not file.startswith("engine/contract/queue")} <= users


@pytest.mark.parametrize(
    "module", ["bot.app", "bot.standalone.launcher", "bot.__main__", "engine.serving.worker", CONTRACT]
)
def test_what_serves_without_a_model_loads_none_of_the_heavy_libraries(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({set(HEAVY)!r} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
