"""What an administrator types and reads; nothing here needs a server."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from bot.delivery.training_progress import MIN_EDIT_SECONDS, EditSchedule
from bot.updates.admin import read_order
from bot.views import admin_messages as texts
from engine.contract.queue.messages import Chat
from engine.contract.queue.models import DesiredVersion, Serving
from engine.contract.queue.training import Order, Training, TrainingReport, Unread
from engine.contract.version_info import VersionInfo

CHAT = Chat(1)


@pytest.mark.parametrize(
    ("text", "epochs", "start"),
    [
        ("", 1.0, "continue"),
        ("2", 2.0, "continue"),
        ("0.5 scratch", 0.5, "scratch"),
        ("3轮 从头", 3.0, "scratch"),
        ("scratch", 1.0, "scratch"),
        ("１ continue", 1.0, "continue"),
    ],
)
def test_an_order_is_read_as_people_type_it(text: str, epochs: float, start: str) -> None:
    order = read_order(text.split(), CHAT, "en")
    assert order is not None
    assert (order.epochs, order.start) == (epochs, start)


@pytest.mark.parametrize(
    "text", ["0", "-1", "101", "nan", "inf", "1e9", "two", "1 2", "1 other", "status now", "1 scratch x"]
)
def test_a_wrong_order_is_none(text: str) -> None:
    assert read_order(text.split(), CHAT, "en") is None


def training(**facts: Any) -> Training:
    facts = {"phase": "training"} | facts
    return Training("1-0", Order(1, "continue", CHAT, "en"), TrainingReport(**facts), 5, False)


def test_edits_are_sparse_but_no_turn_is_missed() -> None:
    moments = EditSchedule()
    assert moments.due(training(step=1), True, 0.0)
    assert not moments.due(training(step=2), True, MIN_EDIT_SECONDS - 1)
    assert moments.due(training(step=3), True, MIN_EDIT_SECONDS)
    assert moments.due(training(step=4, validation=9.0), True, MIN_EDIT_SECONDS + 1), "a validation is a turn"
    assert moments.due(training(step=4, validation=9.0), False, MIN_EDIT_SECONDS + 2), "so is a trainer's death"
    assert not moments.due(training(step=9, validation=9.0), False, MIN_EDIT_SECONDS + 3)
    edits = [second for second in range(20, 7200) if moments.due(training(step=second, validation=9.0), False, second)]
    assert len(edits) < 60
    assert edits[-1] - edits[-2] > 300


REPORTS = [
    TrainingReport("queued"),
    TrainingReport("training", epoch=0.5, part=0.5, step=7, loss=4.0, validation=99.0, speed=1400, seconds_left=600),
    TrainingReport("training", step=3, resumed=2, skipped={"<a>.npz": "<b>"}, own_poems=2),
    TrainingReport("aligning", step=9, part=1.0, resumed=2),
    TrainingReport("failed", failure="disk", detail="No space left on <device>"),
    TrainingReport("cancelled"),
]


@pytest.mark.parametrize("report", REPORTS)
def test_every_state_is_told_in_three_languages_and_what_is_filled_in_is_escaped(report: TrainingReport) -> None:
    order = Order(1, "continue", CHAT, "en")
    said = {texts.progress(order, report, True, language) for language in ("zh-hans", "zh-hant", "en")}
    assert len(said) == 3
    for text in said:
        assert "<a>" not in text
        assert "<device>" not in text


@pytest.mark.parametrize("why", get_args(Unread))
def test_why_a_file_was_not_read_is_told_in_the_admins_language(why: Unread) -> None:
    order, report = Order(1, "continue", CHAT, "en"), TrainingReport("training", skipped={"mine.txt": why})
    lines = {
        language: texts.progress(order, report, True, language).splitlines()[-1]
        for language in ("zh-hans", "zh-hant", "en")
    }
    assert all(line.split("mine.txt")[1].strip(" ()（）") != why for line in lines.values())
    assert re.search("[一-鿿]", lines["zh-hans"].split("mine.txt")[1])
    assert lines["en"].isascii()


def test_the_ending_fits_below_a_picture() -> None:
    table = [[f"a measure with a long name {i}", 1.0, None] for i in range(8)]
    report = TrainingReport("done", version="r20261123-223508", before="tang", table=table)
    assert len(texts.ending(report, "en")) < 1024
    assert "/model use r20261123-223508" in texts.ending(report, "en")
    assert "/model use" not in texts.ending(TrainingReport("done", version="v", promoted=True), "en")


def test_versions_are_listed_with_who_serves_them_and_what_did_not_load() -> None:
    known = {"tang": VersionInfo("tang", "2026-01-01", 90.0, 91.0, home=True), "new": VersionInfo("new")}
    desired = DesiredVersion("new", "tang", 3, 0.0)
    serving = [Serving("tang", 3, "new: spoilt"), Serving("new", 3)]
    listing = texts.versions(known, serving, desired, "en")
    assert "perplexity: validation 90.0, test 91.0" in listing
    assert "wanted" in listing
    assert "not loaded: new: spoilt" in listing
    told = texts.version_changed(desired, serving, "en")
    assert "new is in use (1 worker)" in told
    assert "still using tang" in told
    assert "No worker" in texts.version_changed(desired, [], "en")
