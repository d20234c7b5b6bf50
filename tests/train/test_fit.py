"""The training loop: it learns, and it continues after any interruption."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from engine.model import checkpoint
from engine.model.checkpoint import Checkpoint
from engine.model.folder import read_card
from engine.model.paddle_backend import PaddleBackend
from tests.support import tiny_corpus as tiny
from tests.support.tiny_corpus import weights
from train.__main__ import main
from train.data import corpus as corpora
from train.evaluation.tutorial_decoder import generate
from train.export.card import ancestor
from train.export.model_folder import export_run
from train.fit.config import TrainConfig
from train.fit.progress import Progress
from train.fit.run_folder import Run, RunError, RunState, Setup
from train.fit.summary import summary
from train.fit.trainer import FIRST_SAVE_STEPS, Trainer

CONFIG = TrainConfig(
    num_layers=2,
    embedding_dim=8,
    hidden_dim=16,
    lr=0.01,
    epoch=1,
    batch_tokens=(128, 256),
    batch_growth=(0.5,),
    schedule="cosine",
    warmup=5,
    clip=1.0,
    dropout=0.2,
    initialisation="careful",
    max_gen_len=20,
    use_gpu=False,
)
TINY = ["--num-layers=2", "--embedding-dim=8", "--hidden-dim=16"]
FLAGS = [*TINY, "--batch-tokens=128", "--device=cpu"]


def begin(folder: Path, corpus: corpora.Corpus, config: TrainConfig = CONFIG) -> Run:
    return Run.create(folder, Setup(config, corpus.vocabulary(), {"sha1": {}}))


class StopAfter:
    """Says stop at the end of a number of steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_tiny_corpus_is_memorised(tmp_path: Path) -> None:
    poems = tiny.poems(4)
    corpus = corpora.Corpus({"train": poems, "validation": poems, "test": poems})
    config = TrainConfig(2, embedding_dim=16, hidden_dim=48, lr=0.02, epoch=120, initialisation="careful", clip=1.0)
    run = begin(tmp_path / "run", corpus, config)
    state = Trainer(run, corpus).train()
    measured = state.last("validation")
    assert measured is not None
    assert measured < 1.3
    model = Checkpoint(config.shape, corpus.vocabulary(), weights(run))
    backend = PaddleBackend(model, "cpu")
    assert {generate(backend, model.vocabulary, poem[:5]) for poem in poems} == set(poems)


def test_a_stopped_run_goes_on_as_if_unbroken(tmp_path: Path, corpus: corpora.Corpus) -> None:
    unbroken, broken = begin(tmp_path / "a", corpus), begin(tmp_path / "b", corpus)
    whole = Trainer(unbroken, corpus).train()
    for steps in (3, 1, 30):
        Trainer(broken, corpus, stop=StopAfter(steps)).train()
    rest = Trainer(broken, corpus).train()
    assert (rest.step, rest.tokens, rest.position) == (whole.step, whole.tokens, whole.position)
    assert rest.last("validation") == whole.last("validation")
    first, second = weights(unbroken), weights(broken)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_stopped_run_with_song_poems_goes_on_as_if_unbroken(tmp_path: Path, corpus: corpora.Corpus) -> None:
    mixed = corpora.Corpus(corpus.poems, tiny.poems(150, seed=1))
    config = dataclasses.replace(CONFIG, epoch=3, song_share=0.4, tang_from=0.7)
    unbroken, broken = begin(tmp_path / "a", mixed, config), begin(tmp_path / "b", mixed, config)
    whole = Trainer(unbroken, mixed).train()
    for steps in (4, 20):
        Trainer(broken, mixed, stop=StopAfter(steps)).train()
    rest = Trainer(broken, mixed).train()
    assert (rest.step, rest.tokens, rest.position) == (whole.step, whole.tokens, whole.position)
    assert whole.position.song > 0
    first, second = weights(unbroken), weights(broken)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_song_poems_that_wait_for_a_share_of_0_change_nothing(tmp_path: Path, corpus: corpora.Corpus) -> None:
    mixed = corpora.Corpus(corpus.poems, tiny.poems(150, seed=1))
    alone, beside = begin(tmp_path / "a", corpus), begin(tmp_path / "b", corpus)
    Trainer(alone, corpus).train()
    Trainer(beside, mixed).train()
    first, second = weights(alone), weights(beside)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_progress_validation_and_samples_are_reported(tmp_path: Path, corpus: corpora.Corpus) -> None:
    heard: list[Progress] = []
    config = TrainConfig.from_json({**CONFIG.to_json(), "plot_every": 10, "save_every": 1e-9})
    run = begin(tmp_path / "run", corpus, config)
    state = Trainer(run, corpus, heard.append).train()
    assert {progress.event for progress in heard} == {"step", "validation", "sample", "checkpoint"}
    parts = [progress.part for progress in heard]
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    assert heard[-1].validation == state.last("validation")
    assert all(p.sample.startswith(config.start_words) for p in heard if p.event == "sample")
    assert (run.folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((run.folder / "checkpoints").iterdir())) == 2


def test_the_loss_that_is_shown_is_the_mean_of_the_steps_of_late(tmp_path: Path, corpus: corpora.Corpus) -> None:
    heard: list[Progress] = []
    config = TrainConfig.from_json({**CONFIG.to_json(), "lr": 0.05})
    trainer = Trainer(begin(tmp_path / "run", corpus, config), corpus, heard.append, StopAfter(40))
    state = trainer.train()
    assert heard[0].loss > heard[-1].loss + 0.1
    assert trainer.loss == heard[-1].loss == pytest.approx(state.last("loss"), rel=0.005)


def test_a_summary_calls_worse_worse_and_says_how_to_go_on(corpus: corpora.Corpus) -> None:
    measured = {"sha1": {"validation": "the same poems"}}
    parent = {"corpus": measured, "perplexity": {"validation": 102.5}}

    def told(validation: float, finished: bool = True, parent: dict[str, Any] | None = parent) -> dict[str, Any]:
        state = RunState(step=9, history=[{"step": 9, "tokens": 9, "validation": validation}])
        setup = Setup(CONFIG, corpus.vocabulary(), measured, parent)
        return summary(Path("runs/mine"), "mine", setup, state, 6.7301, finished)

    assert "not better" in told(102.86)["verdict"]
    assert "verdict" not in told(101.0)
    assert "verdict" not in told(102.86, parent={**parent, "corpus": {"sha1": {"validation": "other poems"}}})
    assert "verdict" not in told(102.86, parent=None)
    assert "go_on" not in told(101.0)
    assert told(101.0, finished=False)["go_on"] == "python -m train fit --resume --run mine"
    assert told(101.0)["loss"] == 6.73


def test_a_damaged_checkpoint_is_skipped_for_the_one_before(tmp_path: Path, corpus: corpora.Corpus) -> None:
    run = begin(tmp_path / "run", corpus)
    for step in (1, 2):
        run.save(RunState(step=step), {"w": np.full(3, step, np.float32)}, {})
    newest = run.folder / "checkpoints" / "step-000000002"
    content = (newest / "weights.safetensors").read_bytes()
    for spoil in (content[:-1], content[:-1] + b"\xff", b""):
        (newest / "weights.safetensors").write_bytes(spoil)
        kept = run.newest()
        assert kept is not None
        assert kept[0].step == 1
    (newest / "weights.safetensors").write_bytes(content)
    (newest / "state.json").unlink()
    assert weights(run)["w"][0] == 1


def test_a_run_whose_checkpoints_are_all_damaged_is_refused_by_their_names(
    tmp_path: Path, corpus: corpora.Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    run = begin(tmp_path / "run", corpus)
    for step in (1, 2):
        run.save(RunState(step=step), {"w": np.full(3, step, np.float32)}, {})
    (run.folder / "checkpoints" / "step-000000002" / "weights.safetensors").write_bytes(b"")
    assert run.newest() is not None
    assert "step-000000002 (weights.safetensors is not what was written)" in caplog.text
    (run.folder / "checkpoints" / "step-000000001" / "optimizer.safetensors").unlink()
    with pytest.raises(RunError, match=r"step-000000002 \(weights.*step-000000001 \(optimizer.safetensors: No such"):
        Trainer(run, corpus)


def test_the_first_checkpoint_comes_early(tmp_path: Path, corpus: corpora.Corpus) -> None:
    run = begin(tmp_path / "run", corpus, TrainConfig.from_json({**CONFIG.to_json(), "epoch": 100}))
    saved: list[int] = []

    def note(progress: Progress) -> None:
        if progress.event == "checkpoint":
            saved.append(progress.step)

    for _ in range(2):  # after every start, for each may die early
        Trainer(run, corpus, note, StopAfter(60)).train()
    assert saved[0] == FIRST_SAVE_STEPS
    assert saved[2] == saved[1] + FIRST_SAVE_STEPS


def test_the_first_checkpoint_of_slow_steps_comes_early_too(
    tmp_path: Path, corpus: corpora.Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.fit.trainer.FIRST_SAVE_SECONDS", 0.0)
    saved: list[int] = []

    def note(progress: Progress) -> None:
        if progress.event == "checkpoint":
            saved.append(progress.step)

    Trainer(begin(tmp_path / "run", corpus), corpus, note, StopAfter(5)).train()
    assert saved[0] < FIRST_SAVE_STEPS
    assert len(saved) == 2, "that one, and the last one when it is stopped"


def test_a_second_run_does_not_overwrite_the_first(tmp_path: Path, corpus: corpora.Corpus) -> None:
    begin(tmp_path / "run", corpus)
    with pytest.raises(RunError, match="--resume"):
        begin(tmp_path / "run", corpus)


# The command, in processes of its own.


def command(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "train", *arguments],
        env={**os.environ, "TRAIN_DIR": str(home), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_weights_that_grew_beyond_bounds_are_refused_in_words(tmp_path: Path, corpus: corpora.Corpus) -> None:
    run = begin(tmp_path / "burst", corpus)
    state = Trainer(run, corpus).train()
    grown = {name: tensor * np.float32(1e6) for name, tensor in weights(run).items()}
    state.step += 1
    run.save(state, grown, {})
    with pytest.raises(RunError, match="--clip"):
        export_run(run, corpus, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.fixture
def endless(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A fit that saves after every step and would go on for hours."""
    with command(home, "fit", "--run=endless", "--epochs=100000", "--save-every=1e-9", *FLAGS) as process:
        yield process
        process.kill()


def until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Wait while the process lives."""
    while not reached():
        assert process.poll() is None, process.communicate()
        time.sleep(0.0005)


def test_export_refuses_a_folder_that_is_no_model_before_it_begins(tmp_path: Path, corpus: corpora.Corpus) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", "utf-8")
    with pytest.raises(RunError, match=r"--out: .* contains .* no model"):
        export_run(Run(tmp_path / "no-such-run"), corpus, tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_run_killed_while_it_saves_is_resumed(home: Path, endless: subprocess.Popen[str]) -> None:
    run = Run(home / "endless")
    checkpoints = run.folder / "checkpoints"
    until(endless, lambda: run.newest_step() is not None)
    until(endless, lambda: any(checkpoints.glob(".step-*.new/weights.safetensors")))
    endless.kill()
    endless.communicate()
    step = run.newest_step()
    assert step is not None

    with run.locked(), command(home, "fit", "--resume", "--run", "endless", "--device", "cpu") as second:
        assert f"process {os.getpid()} is training the run" in second.communicate()[1]
        assert second.returncode == 2

    with command(home, "fit", "--resume", "--run", "endless", "--device", "cpu", "--json") as resumed:
        until(resumed, lambda: (run.newest_step() or 0) >= step + 3)
        assert not list(checkpoints.glob(f".step-{step + 1:09d}.new"))
        resumed.send_signal(signal.SIGTERM)
        out, err = resumed.communicate()
    assert resumed.returncode == 0, err
    result = json.loads(out)
    assert result["finished"] is False
    assert result["go_on"] == "python -m train fit --resume --run endless"
    kept = run.newest()
    assert kept is not None
    assert kept[0].step == result["step"] > step


def test_a_model_is_exported_measured_and_trained_further(
    home: Path, corpus: corpora.Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"TRAIN_DIR": str(home)}
    model = home / "models" / "tiny"

    def call(*arguments: str) -> dict[str, object]:
        assert main([*arguments, "--json"], environment) == 0
        result: dict[str, object] = json.loads(capsys.readouterr().out)
        return result

    fitted = call("fit", "--run", "first", "--epochs", "1", "--lr", "0.01", *FLAGS)
    assert fitted["finished"] is True
    card = call("export", "first", "--out", str(model), "--device", "cpu")
    assert json.loads((model / "card.json").read_text("utf-8")) == card
    measure = ("evaluate", str(model), "--device", "cpu", "--poems", "2", "--record")
    measured = call(*measure)
    assert measured == call(*measure), "a table can be reproduced"
    perplexity = {"validation": card["perplexity"]["validation"], "test": card["perplexity"]["test"]}  # type: ignore[index]
    assert measured["columns"]["ours"]["perplexity"] == perplexity  # type: ignore[index]
    assert json.loads((model / "card.json").read_text("utf-8")) == {**card, "evaluation": measured}

    further = call("fit", "--run", "second", "--from", str(model), "--epochs", "0.2", "--lr", "1e-3", "--device", "cpu")
    setup = Run(home / "second").setup()
    assert setup.vocabulary == checkpoint.load(model).vocabulary
    assert setup.config.shape == checkpoint.load(model).shape
    assert setup.parent is not None
    assert setup.parent["version"] == card["version"]
    again = call("export", "second", "--out", str(model), "--version", "2", "--device", "cpu")
    assert again["version"] == "2"
    assert str(home) not in json.dumps(again)  # a card travels
    first, second = fitted["validation_perplexity"], further["validation_perplexity"]
    assert isinstance(first, float)
    assert further["validation_perplexity_before"] == card["perplexity"]["validation"]  # type: ignore[index]
    assert second == pytest.approx(first, rel=0.2)  # it began where the first one ended


def test_weights_trained_elsewhere_become_a_model_folder_with_their_parents(
    home: Path, corpus: corpora.Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--device", "cpu", "--json"], {"TRAIN_DIR": str(home)})
        return code, *capsys.readouterr()

    base, out = tmp_path / "base", tmp_path / "out"
    run = begin(tmp_path / "run", corpus)
    Trainer(run, corpus, stop=StopAfter(1)).train()
    export_run(run, corpus, base, "base-1")
    weights_file, notes = tmp_path / "twin.safetensors", tmp_path / "notes.json"
    changed = {name: tensor * np.float32(0.5) for name, tensor in weights(run).items()}
    save_file({name: tensor.astype(np.float16) for name, tensor in changed.items()}, weights_file)
    wanted = ("export", str(weights_file), "--out", str(out), "--from", str(base), "--notes", str(notes))

    assert call(*wanted[:4])[0] == 2
    notes.write_text('[{"made_by": "A twin."}]', "utf-8")
    code, _, said = call(*wanted)
    assert (code, "--notes" in said, out.exists()) == (2, True, False)
    first = {"version": "twin-1", "made_by": "A twin.", "training": {"tokens": 1}, "perplexity": {"test": 9.5}}
    notes.write_text(
        json.dumps([first, {"version": "twin-2", "made_by": "Again.", "training": {"tokens": 2}}]), "utf-8"
    )
    code, said, _ = call(*wanted)
    assert code == 0
    card = json.loads(said)
    assert (card["version"], card["made_by"], card["training"]) == ("twin-2", "Again.", {"tokens": 2})
    assert card["perplexity"].keys() == {"validation", "test", "test_int8"}
    assert card["parent"] == {**first, "parent": ancestor(read_card(base))}
    assert card["parent"]["parent"]["version"] == "base-1"
    assert "config" not in card["parent"]["parent"]["training"]
    made = checkpoint.load(out)
    assert all(np.allclose(made.weights[name], tensor, atol=1e-2) for name, tensor in changed.items())
    assert made.vocabulary == corpus.vocabulary()

    save_file({"embedding.weight": np.zeros((2, 2), np.float32)}, weights_file)
    code, _, said = call(*wanted)
    assert (code, "names and shapes" in said) == (2, True)


def test_a_card_says_with_what_song_poems_began(tmp_path: Path, corpus: corpora.Corpus) -> None:
    mixed = corpora.Corpus(corpus.poems, tiny.poems(150, seed=1))
    run = begin(tmp_path / "run", mixed, dataclasses.replace(CONFIG, song_share=0.4))
    Trainer(run, mixed, stop=StopAfter(1)).train()
    card = export_run(run, mixed, tmp_path / "model")
    assert card["start_symbols"] == {"tang": "<START>", "song": "</s>"}
    further = Run.create(
        tmp_path / "on",
        Setup(CONFIG, corpus.vocabulary(), {"sha1": {}}, ancestor(read_card(tmp_path / "model"))),
    )
    Trainer(further, corpus, stop=StopAfter(1)).train()
    assert export_run(further, corpus, tmp_path / "on-model")["start_symbols"] == card["start_symbols"]
