"""A run that learns a teacher's distribution beside the text."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.model import checkpoint
from engine.model.backend import log_softmax
from engine.model.checkpoint import Checkpoint
from engine.model.folder import Shape
from engine.model.lstm import PoemLSTM, paddle
from tests.support import tiny_corpus as tiny
from tests.support.tiny_corpus import weights
from train.__main__ import main
from train.data import corpus as corpora
from train.data.batches import encode
from train.export.card import ancestor
from train.fit.config import TrainConfig
from train.fit.run_folder import Run, Setup
from train.fit.teacher import teacher_identity
from train.fit.trainer import Trainer

CONFIG = TrainConfig(
    num_layers=2,
    embedding_dim=8,
    hidden_dim=16,
    lr=0.01,
    epoch=1,
    batch_tokens=(128,),
    dropout=0.2,
    clip=1.0,
    initialisation="careful",
    use_gpu=False,
)
FLAGS = ["--num-layers=2", "--embedding-dim=8", "--hidden-dim=16", "--batch-tokens=128", "--device=cpu"]
LARGER = Shape(embedding_dim=12, hidden_dim=24, num_layers=3)


@pytest.fixture
def teacher(tmp_path: Path, corpus: corpora.Corpus) -> Path:
    """The folder of a model that is larger than the runs that it teaches."""
    return write_teacher(tmp_path / "teacher", corpus)


def write_teacher(folder: Path, corpus: corpora.Corpus, seed: int = 0, without: str = "") -> Path:
    characters = "".join(c for c in corpus.vocabulary().characters if c not in without)
    checkpoint.save(folder, tiny.checkpoint(LARGER, characters, seed))
    return folder


def begin(folder: Path, corpus: corpora.Corpus, teacher: Path, config: TrainConfig = CONFIG) -> Run:
    config = dataclasses.replace(config, teacher=str(teacher))
    return Run.create(
        folder, Setup(config, corpus.vocabulary(), {"sha1": {}}, None, teacher_identity(checkpoint.load(teacher)))
    )


def test_a_share_of_1_leads_to_the_teachers_distribution(tmp_path: Path, corpus: corpora.Corpus, teacher: Path) -> None:
    ids = np.array(encode(corpus.poems["validation"], corpus.vocabulary()))[:, :-1]

    def log_probabilities(model: Checkpoint) -> np.ndarray:
        network = PoemLSTM(len(model.vocabulary), model.shape)
        network.load_weights(model.weights)
        network.eval()
        with paddle.no_grad():
            scores: np.ndarray = network(paddle.to_tensor(ids)).numpy().reshape(-1, len(model.vocabulary))
        return log_softmax(scores)

    wanted = log_probabilities(checkpoint.load(teacher))

    def divergence(run: Run) -> float:
        """From the teacher's distribution, in nats per character."""
        found = log_probabilities(Checkpoint(CONFIG.shape, corpus.vocabulary(), weights(run)))
        return float((np.exp(wanted) * (wanted - found)).sum(axis=1).mean())

    config = dataclasses.replace(CONFIG, dropout=0.0, teacher_share=1.0)
    run = begin(tmp_path / "run", corpus, teacher, config)
    Trainer(run, corpus, stop=lambda: True).train()
    before = divergence(run)
    Trainer(run, corpus).train()
    assert divergence(run) < before / 2


def test_a_stopped_run_with_a_teacher_goes_on_as_if_unbroken(
    tmp_path: Path, corpus: corpora.Corpus, teacher: Path
) -> None:
    unbroken, broken = begin(tmp_path / "a", corpus, teacher), begin(tmp_path / "b", corpus, teacher)
    whole = Trainer(unbroken, corpus).train()
    left = iter(range(7))
    Trainer(broken, corpus, stop=lambda: next(left, None) is None).train()
    rest = Trainer(broken, corpus).train()
    assert (rest.step, rest.tokens, rest.position) == (whole.step, whole.tokens, whole.position)
    first, second = weights(unbroken), weights(broken)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_teacher_that_cannot_teach_is_refused_before_a_run_is_begun(
    home: Path, corpus: corpora.Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = write_teacher(tmp_path / "stranger", corpus, without=corpus.vocabulary().characters[0])
    damaged = write_teacher(tmp_path / "damaged", corpus)
    (damaged / "weights.safetensors").write_bytes(b"")
    for given, code, said in (
        (["--teacher=nowhere"], 1, "--teacher: there is no model folder at nowhere"),
        ([f"--teacher={damaged}"], 1, "weights.safetensors is not the file"),
        ([f"--teacher={stranger}"], 2, "must be trained on the same prepared corpus"),
        ([f"--teacher={stranger}", "--teacher-share=1.5"], 2, "--teacher-share is 1.5; it must be from 0 to 1"),
        (["--teacher-share=0.5"], 2, "--teacher-share needs --teacher"),
    ):
        assert main(["fit", "--run=refused", *given, *FLAGS], {"TRAIN_DIR": str(home)}) == code
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
        assert not (home / "refused").exists()


def test_a_run_needs_its_own_teacher_to_its_end_and_its_card_names_it(
    home: Path, corpus: corpora.Corpus, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str, code: int = 0) -> str:
        assert main([*arguments, "--device=cpu", "--json"], {"TRAIN_DIR": str(home)}) == code
        out, err = capsys.readouterr()
        return err if code else out

    call("fit", "--run=taught", f"--teacher={teacher}", "--epochs=0.1", *FLAGS)
    kept = teacher.with_name("kept")
    teacher.rename(kept)
    assert f"no model folder at {teacher}" in call("fit", "--run=taught", "--resume", code=1)
    write_teacher(teacher, corpus, seed=1)
    assert "put that one back" in call("fit", "--run=taught", "--resume", code=2)
    shutil.rmtree(teacher)
    kept.rename(teacher)
    call("fit", "--run=taught", "--resume")
    card = json.loads(call("export", "taught", f"--out={teacher.with_name('student')}"))
    assert card["training"]["teacher"] == teacher_identity(checkpoint.load(teacher))
    assert card["training"]["teacher"]["shape"]["hidden_dim"] == LARGER.hidden_dim
    assert (card["training"]["config"]["teacher"], card["training"]["config"]["teacher_share"]) == ("teacher", 0.7)
    assert ancestor(card)["training"]["teacher"]["version"] == "tiny"
    assert str(home) not in json.dumps(card)
