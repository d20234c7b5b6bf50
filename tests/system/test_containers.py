"""The container files: they are read and their shell commands run; Docker is not needed, and nothing is built."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings import BotSettings
from engine.contract.settings import Settings
from engine.settings import EngineSettings
from train.settings import TrainSettings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
PROGRAMS = ("bot", "worker", "worker-gpu")
SETTINGS: dict[str, type[Settings]] = {
    "bot": BotSettings,
    "worker": EngineSettings,
    "worker-gpu": EngineSettings,
    "trainer": TrainSettings,
}
OF_THE_CONTAINER = {"HTTP_HOST", "HTTP_PORT", "TRAIN_DIR", "OWN_POEMS_DIR"}
"""Settings that the compose file itself decides."""
OF_A_WORKER_ALONE = {"CANDIDATES", "WRITE_BUDGET", "JOB_DEADLINE"}
"""Settings that a trainer reads but does not use."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return found


def stage(name: str) -> str:
    return next(text for text in re.split(r"(?m)^FROM ", DOCKERFILE) if f"AS {name}\n" in text)


def test_every_service_has_limits_of_memory_and_log_and_comes_back(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["restart"] == "unless-stopped", name


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_of_env_reaches_its_program(compose: dict[str, Any], name: str) -> None:
    told = compose["services"][name]["environment"]
    wanted = {field.upper() for field in SETTINGS[name].model_fields} - OF_THE_CONTAINER
    for setting in wanted - (OF_A_WORKER_ALONE if name == "trainer" else set()):
        assert told.get(setting, "").startswith(f"${{{setting}:-"), (name, setting)
    assert told["REDIS_URL"] == "${REDIS_URL:-redis://redis:6379/0}"


def test_a_worker_takes_one_core(compose: dict[str, Any]) -> None:
    assert compose["services"]["worker"]["environment"]["THREADS"] == "${THREADS:-1}"


@pytest.mark.parametrize("name", SETTINGS)
def test_files_that_settings_name_can_be_put_beside_the_file_and_stay_out_of_git_and_images(
    compose: dict[str, Any], name: str
) -> None:
    beside = [volume for volume in compose["services"][name]["volumes"] if volume.startswith("./")]
    assert "./config:/config:ro" in beside
    for folder in (volume.partition(":")[0].removeprefix("./") for volume in beside):
        assert f"/{folder}/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
        assert folder in (ROOT / ".dockerignore").read_text("utf-8").splitlines()


def test_models_come_from_a_folder_beside_the_file(compose: dict[str, Any]) -> None:
    for name in ("worker", "worker-gpu", "trainer"):
        assert "./models:/models:ro" in compose["services"][name]["volumes"], name


def test_every_variable_of_the_compose_file_has_a_default(compose: dict[str, Any]) -> None:
    text = re.sub(r"\$\$", "", (ROOT / "docker-compose.yml").read_text("utf-8"))
    assert re.findall(r"\$(?!\{[A-Z_]+:-[^}]*\})", text) == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_unhealthy_program_is_ended_after_four_failures_and_one_success_forgives(
    compose: dict[str, Any], tmp_path: Path, name: str
) -> None:
    service = compose["services"][name]
    kind, command = service["healthcheck"]["test"]
    assert (kind, service["init"]) == ("CMD-SHELL", True)
    assert "/tmp" in service["tmpfs"]
    with subprocess.Popen(["sleep", "60"]) as child:
        (tmp_path / "children").write_text(f"{child.pid} ", "utf-8")
        here = command.replace("$$", "$").replace("/tmp/", f"{tmp_path}/")
        here = here.replace("/proc/1/task/1/children", str(tmp_path / "children"))

        def check(healthy: bool) -> int:
            (tmp_path / "python").write_text(f"#!/bin/sh\nexit {int(not healthy)}\n", "utf-8")
            (tmp_path / "python").chmod(0o755)
            environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
            return subprocess.run(["sh", "-c", here], env=environ, check=False).returncode

        assert [check(healthy) for healthy in (False, False, False, True)] == [1, 1, 1, 0]
        assert [check(False) for _ in range(3)] == [1, 1, 1]
        assert child.poll() is None
        assert check(False) == 1
        assert child.wait(10) == -9


def test_the_image_that_serves_the_page_can_draw_its_pictures() -> None:
    assert "'.[picture]'" in stage("serve")


def test_without_an_index_the_gpu_image_ends_in_a_sentence() -> None:
    guard = re.search(r"(?m)^RUN (test -n .*?\}) \\$", stage("gpu"))
    assert guard is not None
    for index, code in (("", 1), ("https://example.org/simple", 0)):
        ran = subprocess.run(
            ["sh", "-c", guard[1]], env={"PADDLE_INDEX": index}, capture_output=True, text=True, check=False
        )
        assert ran.returncode == code
        assert ("PADDLE_INDEX" in ran.stderr) == bool(code)
    for page in ("README.md", "docs/operations.md"):
        assert "PADDLE_INDEX" in (ROOT / page).read_text("utf-8")


def test_one_version_of_paddle_is_pinned_for_both_devices_and_an_old_one_refused() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").split() if "==" in line)
    assert pins["paddlepaddle"] == pins["paddlepaddle-gpu"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert all("paddlepaddle-gpu>=3" in extras[name] for name in ("gpu", "train-gpu"))
    assert all("--constraint constraints.txt" in line for line in DOCKERFILE.splitlines() if "'.[" in line)


def test_every_folder_that_is_copied_is_there() -> None:
    for sources in re.findall(r"(?m)^COPY (.+) \S+$", DOCKERFILE):
        assert all((ROOT / source).exists() for source in sources.split()), sources
