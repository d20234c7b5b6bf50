"""The metrics of a bot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.metrics import ClusterState, Metrics
from engine.contract import Poem
from engine.contract.queue.messages import Chat, Reply, WorkDone
from engine.contract.queue.models import Serving
from engine.contract.queue.training import Order, Training, TrainingReport
from engine.contract.queue.workers import Status

POEM = Poem("acrostic", "春", ("春",), "五绝", 1, 4, "fake")
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def values(metrics: Metrics, cluster_state: ClusterState) -> dict[str, float]:
    """Samples by name and labels."""
    families = text_string_to_metric_families(metrics.text(cluster_state).decode())
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_poem_is_observed_as_its_worker_measured_it() -> None:
    metrics = Metrics()
    metrics.observe_work(Reply(Chat(1), "en", POEM, work=WorkDone(waited=0.3, wrote=1.5, together=8, characters=120)))
    metrics.observe_work(Reply(Chat(1), "en", "words"))
    seen = values(metrics, ClusterState())
    assert (seen["poem_queue_seconds_count"], seen["poem_queue_seconds_sum"]) == (1, 0.3)
    assert (seen["poem_writing_seconds_bucket[1.0]"], seen["poem_writing_seconds_bucket[2.0]"]) == (0, 1)
    assert seen["poem_batch_poems_sum"] == 8
    assert seen["poem_candidates_sum"] == 4
    assert seen["poem_characters_total"] == 120


def test_two_bots_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.count("poem_messages_total", outcome="sent")
    assert values(one, ClusterState())["poem_messages_total[sent]"] == 1
    assert "poem_messages_total[sent]" not in values(other, ClusterState())


def test_what_serves_and_what_trains_is_seen_while_it_does() -> None:
    metrics = Metrics()
    serving = {"a": Serving("tang-1", 0), "b": Serving("tang-1", 0), "c": Serving("r2", 1)}
    training = Training("1-0", Order(1, "continue", Chat(1), "en"), TrainingReport("training", part=0.25), None, False)
    seen = values(metrics, ClusterState(Status(3, 2, 4), serving, training))
    assert (seen["poem_redis_up"], seen["poem_queue_jobs"], seen["poem_workers"]) == (1, 3, 2)
    assert (seen["poem_model_workers[tang-1]"], seen["poem_model_workers[r2]"]) == (2, 1)
    assert seen["poem_training_progress_ratio"] == 0.25
    after = values(metrics, ClusterState(Status(0, 0, 1), {}, None))
    assert "poem_model_workers[tang-1]" not in after
    assert after["poem_training_progress_ratio"] == 0


def test_without_redis_its_figures_are_unknown_and_not_zero() -> None:
    seen = values(Metrics(), ClusterState())
    assert seen["poem_redis_up"] == 0
    assert seen["poem_queue_jobs"] != seen["poem_queue_jobs"]  # not a number


@pytest.mark.parametrize("direction", ["documented", "existing"])
def test_every_metric_is_documented_and_every_documented_one_exists(direction: str) -> None:
    metrics = Metrics()
    families = text_string_to_metric_families(metrics.text(ClusterState()).decode())
    existing = {family.name.removesuffix("_created") for family in families}
    names = re.findall(r"poem_[a-z_]+", OPERATIONS.read_text("utf-8"))
    documented = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in names}
    assert documented <= existing if direction == "documented" else existing <= documented
