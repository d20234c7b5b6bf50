"""What each package may import, checked in the source; and unique names of classes and functions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = ("bot", "engine", "train")
CONTRACT, QUEUE = "engine.contract", "engine.contract.queue"
HEAVY = ("paddle", "numpy", "onnxruntime", "onnx", "matplotlib", "safetensors")

ALLOWED: dict[str, set[str]] = {
    CONTRACT: set(),
    QUEUE: {CONTRACT},
    "engine.prosody": {CONTRACT},
    "engine.model": {CONTRACT},
    "engine.generation": {CONTRACT, "engine.model", "engine.prosody"},
    "engine.serving": {CONTRACT, QUEUE},
    "bot.views": {CONTRACT, QUEUE},
    "bot.updates": {
        *(CONTRACT, QUEUE, "bot.views", "bot.metrics", "bot.submission", "bot.daily_stats"),
        *("bot.bot_api", "bot.best_effort", "bot.blocklist", "bot.command_menu"),
    },
    "bot.delivery": {CONTRACT, QUEUE, "bot.views", "bot.metrics", "bot.blocklist", "bot.bot_api", "bot.best_effort"},
    "bot.http": {CONTRACT, QUEUE, "bot.views", "bot.updates", "bot.metrics", "bot.submission", "bot.blocklist"},
    "bot.standalone": {CONTRACT, QUEUE, "bot.http", "bot.settings"},
    "train.data": {CONTRACT, QUEUE, "engine.model", "engine.prosody"},
    "train.evaluation": {CONTRACT, "engine.model", "engine.prosody", "engine.generation", "train.data"},
    "train.fit": {CONTRACT, "engine.model", "train.data", "train.evaluation"},
    "train.readers": {CONTRACT, "engine.model", "engine.generation", "engine.prosody", "train.data", "train.fit"},
    "train.export": {
        *(CONTRACT, "engine.model", "engine.generation", "engine.prosody"),
        *("train.data", "train.evaluation", "train.fit", "train.readers"),
    },
    "train.retrain": {
        *(CONTRACT, QUEUE, "engine.model", "engine.generation", "engine.serving"),
        *("train.data", "train.evaluation", "train.fit", "train.readers", "train.export", "train.settings"),
    },
}
"""What each package may import of this project. Modules beside the packages (``bot.app``, ``engine.__main__`` …) wire
them together; they are only bound by the arrows between bot, engine and train, and must not form a cycle."""


@cache
def modules() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    files = [file for top in TOP for file in sorted((ROOT / top).rglob("*.py"))]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports(module: str) -> Iterator[str]:
    """Every module, or name of one, that a module imports anywhere in its file."""
    for node in ast.walk(ast.parse(modules()[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def strings(module: str) -> Iterator[str]:
    """The strings of a module that are not documentation."""
    tree = ast.parse(modules()[module].read_text("utf-8"))
    documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
            yield node.value


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def package_of(name: str) -> str:
    """The package in ``ALLOWED`` that a name is in, else the module beside the packages that it is in."""
    packages = [package for package in ALLOWED if within(name, package)]
    return max(packages, key=len) if packages else ".".join(name.split(".")[:2])


@cache
def arrows() -> dict[str, dict[str, str]]:
    """Package → the packages it imports, each with an example."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for module in modules():
        for name in imports(module):
            if name.split(".")[0] in TOP and package_of(name) != package_of(module):
                found[package_of(module)][package_of(name)] = f"{module} imports {name}"
    return found


def importers(*libraries: str, of: str) -> set[str]:
    """The modules of a package that import one of ``libraries``."""
    return {
        module
        for module in modules()
        if within(module, of) and any(within(name, library) for name in imports(module) for library in libraries)
    }


def test_every_package_is_listed_and_there() -> None:
    assert {package_of(module) for module in modules() if module.count(".") > 1} == ALLOWED.keys()


def test_every_package_says_what_belongs_in_it() -> None:
    packages = [file for file in modules().values() if file.name == "__init__.py"]
    assert [file for file in packages if not ast.get_docstring(ast.parse(file.read_text("utf-8")))] == []


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    assert {to: example for to, example in arrows()[package].items() if to not in ALLOWED[package]} == {}


def test_no_package_imports_itself_through_others() -> None:
    TopologicalSorter({package: set(to) for package, to in arrows().items()}).prepare()  # raises CycleError


@pytest.mark.parametrize(
    ("program", "others"), [("bot", ("train",)), ("engine", ("bot", "train")), ("train", ("bot",))]
)
def test_nothing_imports_bot_or_train(program: str, others: tuple[str, ...]) -> None:
    assert importers(*others, of=program) == set()


def test_the_bot_imports_nothing_of_the_engine_but_the_contract() -> None:
    names = {name for module in modules() if within(module, "bot") for name in imports(module)}
    assert {name for name in names if within(name, "engine") and not within(name, CONTRACT)} == set()


def test_bot_and_contract_know_neither_paddle_nor_numpy() -> None:
    assert importers(*HEAVY, of="bot") | importers(*HEAVY, of=CONTRACT) == set()


def test_only_the_lstm_and_the_paddle_backend_know_paddle() -> None:
    assert importers("paddle", of="engine") <= {
        "engine.model.paddle_backend",
        "engine.model.lstm",
        "engine.model.paddle_runtime",
    }


def test_of_the_engine_only_the_queue_and_the_serving_package_know_redis() -> None:
    assert {package_of(module) for module in importers("redis", of="engine")} <= {QUEUE, "engine.serving", CONTRACT}
    assert importers("redis", of=CONTRACT) - importers("redis", of=QUEUE) == {"engine.contract.redis_url"}


@pytest.mark.parametrize(
    "module", ["bot.app", "bot.standalone.launcher", "bot.__main__", "engine.serving.worker", CONTRACT]
)
def test_what_serves_without_a_model_loads_none_of_the_heavy_libraries(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({set(HEAVY)!r} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_what_people_see_of_the_bot_is_written_under_views() -> None:
    understood = {f"bot.updates.{name}" for name in ("phrases", "phrase_table", "commands", "admin")}  # what users type
    shown = {"bot.standalone.launcher"}  # an example for the terminal
    elsewhere = [
        f"{module}: {text}"
        for module in modules()
        if within(module, "bot") and not within(module, "bot.views") and module not in understood | shown
        for text in strings(module)
        if re.search("[\u4e00-\u9fff]", text)
    ]
    assert elsewhere == []


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for file in [*modules().values(), *sorted((ROOT / "tests").rglob("*.py"))]:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_no_two_public_functions_share_a_name_but_those_that_start_a_program() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for module, file in modules().items():
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                places[node.name].add(module)
    starting = {"main", "run", "serve"}
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in starting} == {}
