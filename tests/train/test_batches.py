"""Batches, settings, perplexity, the tutorial's decoder."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from engine.model.backend import Ids, log_softmax
from engine.model.checkpoint import FloatArray
from engine.model.vocab import Vocabulary
from tests.support.tiny_corpus import CHARACTERS, poems
from train.data.batches import Batch, Batches, Position, encode
from train.data.corpus import Corpus
from train.evaluation.perplexity import backend_nats, missing_types, perplexity
from train.evaluation.tutorial_decoder import gen_acrostic, generate
from train.fit.config import PRESETS, ConfigError, TrainConfig
from train.fit.trainer import learning_rate

VOCABULARY = Vocabulary((*CHARACTERS, "，", "。"))


class Fixed:
    """A backend with constant scores for the next character that records what it has read."""

    vocabulary_size = len(VOCABULARY)

    def __init__(self, scores: Sequence[float] | None = None, by_last: dict[str, str] | None = None) -> None:
        self.scores = np.array(scores if scores is not None else [0.0] * len(VOCABULARY), np.float32)
        self.by_last = by_last or {}
        self.read: list[int] = []

    def start(self, rows: int) -> FloatArray:
        return np.zeros((rows, 2, 1), np.float32)

    def step(self, ids: Ids, state: FloatArray, wanted: Ids | None = None) -> tuple[FloatArray, FloatArray]:
        self.read.append(int(ids[0]))
        found = np.tile(self.scores, (len(ids), 1))
        after = {VOCABULARY.id(last): VOCABULARY.id(character) for last, character in self.by_last.items()}
        for row, last in zip(found, ids.tolist(), strict=True):
            if last in after:
                row[after[last]] += 10
        return log_softmax(found if wanted is None else found[wanted]), state


def all_batches(data: Batches, position: Position, tokens: int) -> list[tuple[Batch, Position]]:
    """Every batch from a position to the end of its epoch."""
    found: list[tuple[Batch, Position]] = []
    epoch = position.epoch
    while position.epoch == epoch:
        for batch, after in data.pool(dataclasses.replace(position, tokens=tokens)):
            found.append((batch, after))
            position = after
    return found


def test_an_epoch_holds_each_poem_once() -> None:
    texts = [poem[: 6 + 3 * (i % 7)] for i, poem in enumerate(poems(100))]
    data = Batches(encode(texts, VOCABULARY), VOCABULARY.pad, seed=1, poems_per_batch=4, pool=30)
    for tokens in (0, 64):
        seen: Counter[str] = Counter()
        for batch, _ in all_batches(data, Position(), tokens):
            assert batch.targets.size <= 64 or tokens == 0
            assert batch.count == int((batch.targets != VOCABULARY.pad).sum())
            for row in batch.targets:
                seen[VOCABULARY.decode(row[row != VOCABULARY.pad].tolist())] += 1
        assert seen == Counter(f"{text}<EOP>" for text in texts)
    assert data.tokens_per_epoch == sum(len(text) + 1 for text in texts)


def test_a_run_finds_its_place_again_and_each_epoch_has_its_own_order() -> None:
    data = Batches(encode(poems(100), VOCABULARY), VOCABULARY.pad, seed=1, poems_per_batch=4, pool=30)
    whole = all_batches(data, Position(), 64)
    for number in (0, 3, 7, len(whole) - 2):
        rest = all_batches(data, whole[number][1], 64)
        assert len(rest) == len(whole) - number - 1
        assert all(np.array_equal(a.ids, b.ids) for (a, _), (b, _) in zip(whole[number + 1 :], rest, strict=True))
    second = all_batches(data, whole[-1][1], 64)
    assert whole[-1][1] == Position(epoch=1)
    assert {batch.ids.tobytes() for batch, _ in whole}.isdisjoint(batch.ids.tobytes() for batch, _ in second)


def mixed(song: int = 45) -> Batches:
    """A hundred Tang poems, and Song poems that start with another symbol."""
    tang, others = encode(poems(100), VOCABULARY), encode(poems(song, 1), VOCABULARY, start=VOCABULARY.song_start)
    return Batches(tang, VOCABULARY.pad, seed=1, poems_per_batch=4, pool=30, song=others)


def test_song_poems_come_on_top_of_the_same_tang_poems() -> None:
    data, alone = mixed(), Batches(encode(poems(100), VOCABULARY), VOCABULARY.pad, seed=1, poems_per_batch=4, pool=30)
    without = list(data.pool(Position(pool=1, tokens=64)))
    assert all(
        np.array_equal(a.ids, b.ids) and np.array_equal(a.targets, b.targets) and left == right
        for (a, left), (b, right) in zip(without, alone.pool(Position(pool=1, tokens=64)), strict=True)
    ), "a share of 0 is the run without Song poems to the bit"
    songs: Counter[bytes] = Counter()
    position = Position()
    for pool in range(4):
        position = dataclasses.replace(position, tokens=64, song_share=0.6)
        firsts: Counter[int] = Counter()
        for batch, after in data.pool(position):
            firsts.update(batch.ids[:, 0].tolist())
            songs.update(row.tobytes() for row in batch.ids if row[0] == VOCABULARY.song_start)
            position = after
        tang = 30 if pool < 3 else 10
        assert firsts == {VOCABULARY.start: tang, VOCABULARY.song_start: 1.5 * tang}
    assert position == Position(epoch=1, song=150)
    assert sorted(songs.values()) == [3] * 30 + [4] * 15, "each Song poem before any comes again"


def test_a_run_with_song_poems_finds_its_place_again() -> None:
    data = mixed()
    whole = list(data.pool(Position(pool=2, tokens=64, song_share=0.5, song=60)))
    for number in (0, 4, len(whole) - 2):
        rest = list(data.pool(whole[number][1]))
        assert [after for _, after in rest] == [after for _, after in whole[number + 1 :]]
        assert all(np.array_equal(a.ids, b.ids) for (a, _), (b, _) in zip(whole[number + 1 :], rest, strict=True))


def test_the_first_symbol_of_a_song_poem_is_not_taken_for_padding() -> None:
    rows = encode(["春风秋月", "春"], VOCABULARY, start=VOCABULARY.song_start)
    batch = Batch.of(rows, VOCABULARY.pad)
    assert batch.ids[:, 0].tolist() == [VOCABULARY.pad] * 2
    assert batch.count == int((batch.targets != VOCABULARY.pad).sum()) == 5 + 2
    assert batch.targets[1].tolist() == [VOCABULARY.id("春"), VOCABULARY.eop, *[VOCABULARY.pad] * 3]


def test_song_poems_are_for_the_first_part_of_the_run() -> None:
    config = PRESETS["release"]
    assert [config.song_share_at(part) for part in (0.0, 0.59, 0.6, 1.0)] == [0.5, 0.5, 0.0, 0.0]
    assert PRESETS["best"].song_share_at(0.0) == 0.0


def test_long_poems_are_cut_and_short_ones_end() -> None:
    rows = encode(["春风", "春风秋月花鸟"], VOCABULARY, maxlen=5)
    assert [VOCABULARY.decode(row.tolist()) for row in rows] == ["<START>春风<EOP>", "<START>春风秋月"]


def test_a_uniform_model_has_the_perplexity_of_its_choices() -> None:
    nats = backend_nats(Fixed(), VOCABULARY.pad)
    assert perplexity(nats, VOCABULARY, ["春风", "秋月花鸟"], missing=7) == pytest.approx(len(VOCABULARY))
    # a character that the vocabulary lacks is one of seven: ln 7 more for one target of three
    surcharge = math.exp(math.log(len(VOCABULARY)) + math.log(7) / 3)
    assert perplexity(nats, VOCABULARY, ["春龘"], missing=7) == pytest.approx(surcharge)


def test_perplexity_counts_every_character_the_end_and_nothing_else() -> None:
    seen = []

    def nats(ids: Ids, targets: Ids) -> float:
        seen.extend(targets[targets != VOCABULARY.pad].tolist())
        return 0.0

    texts = ["春风，秋月。", "".join(poems(40))]
    perplexity(nats, VOCABULARY, texts, missing=1)
    assert Counter(seen) == Counter(VOCABULARY.encode("".join(texts)) + [VOCABULARY.eop] * 2)


def test_what_the_vocabulary_lacks_is_counted_over_all_splits() -> None:
    corpus = Corpus({"train": ["春龘"], "validation": ["靐"], "test": ["龘齉"]})
    assert missing_types(corpus, VOCABULARY) == 3


def test_the_tutorials_decoder_feeds_start_mood_and_text_and_stops_at_the_end() -> None:
    scores = [0.0] * len(VOCABULARY)
    scores[VOCABULARY.unk] = scores[VOCABULARY.pad] = 9.0  # never chosen: no poem holds them
    scores[VOCABULARY.eop] = 5.0
    backend = Fixed(scores, by_last={"风": "秋", "秋": "月"})
    assert generate(backend, VOCABULARY, "春风", prefix_words="龘山") == "春风秋月"
    assert backend.read == [VOCABULARY.start, *VOCABULARY.encode("龘山春风秋月")]
    assert len(generate(Fixed(), VOCABULARY, "春风")) == 200


def test_the_tutorials_acrostic_puts_a_head_after_every_mark() -> None:
    backend = Fixed(by_last={"春": "山", "龘": "水", "山": "，", "水": "。"})
    assert gen_acrostic(backend, VOCABULARY, "春龘春") == "春山，龘水。春山，"


def test_the_learning_rate_rises_and_falls() -> None:
    config = TrainConfig(lr=1.0, warmup=10, schedule="cosine", final_lr=0.1)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 50, 0.5) == pytest.approx(0.55)
    assert learning_rate(config, 99, 1.0) == pytest.approx(0.1)
    assert learning_rate(TrainConfig(lr=1.0), 99, 1.0) == 1.0
    late = dataclasses.replace(config, cosine_from=0.5)
    assert [learning_rate(late, 50, part) for part in (0.0, 0.5)] == [1.0, 1.0]
    assert learning_rate(late, 50, 0.75) == pytest.approx(0.55)
    assert learning_rate(late, 50, 1.0) == pytest.approx(0.1)


def test_batches_grow_over_the_run() -> None:
    config = PRESETS["best"]
    assert [config.tokens_per_batch(part) for part in (0.0, 0.07, 0.08, 0.49, 0.5, 1.0)] == [
        *(512, 512, 1024),
        *(1024, 2048, 2048),
    ]
    assert PRESETS["tutorial"].tokens_per_batch(0.5) == 0
    two = config.with_settings({"batch_tokens": (256, 512)})
    assert [two.tokens_per_batch(part) for part in (0.4, 0.5)] == [256, 512]


def test_the_tutorials_preset_has_the_tutorials_values() -> None:
    config = PRESETS["tutorial"]
    assert (config.num_layers, config.embedding_dim, config.hidden_dim) == (3, 256, 512)
    assert (config.lr, config.epoch, config.batch_size, config.maxlen) == (1e-3, 20, 4, 125)
    assert (config.plot_every, config.max_gen_len) == (1000, 200)
    assert (config.prefix_words, config.start_words) == ("欲穷千里目，更上一层楼", "老夫聊发少年狂，")


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 0.0},
        {"dropout": 1.0},
        {"hidden_dim": 0},
        {"epoch": -1.0},
        {"batch_growth": (0.5,)},
        {"batch_tokens": (512, 1024), "batch_growth": (2.0,)},
        {"maxlen": 2},
        {"song_share": 1.0},
        {"tang_from": 1.5},
        {"cosine_from": 1.0},
    ],
)
def test_a_setting_that_cannot_be_is_named(wrong: dict[str, object]) -> None:
    names = "|".join(f"--{name.replace('_', '-')}" for name in wrong)
    with pytest.raises(ConfigError, match=names):
        TrainConfig.from_json({**TrainConfig().to_json(), **wrong})


def test_settings_survive_json() -> None:
    assert all(TrainConfig.from_json(config.to_json()) == config for config in PRESETS.values())
