"""The short form of every soak test: the same faults in real programs, a few of each. ``make soak`` is the long
form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak import (
    bots,
    connections,
    ends,
    garbage,
    growth,
    limits,
    stalls,
    standalone,
    store,
    telegram,
    training,
    updates,
    workers,
)
from tests.soak.harness import QUICK_WORKER, SoakResult

FAST = {"LEASE": "0.5"}
SLOW_WORKER = (*QUICK_WORKER, "0.3")
"""Slow enough that something is in flight when it dies."""


def each_got_one_poem(figures: SoakResult) -> bool:
    """Whether everybody got exactly one poem."""
    return (figures.lost, figures.duplicated, figures.more["without_poem"]) == (0, 0, 0)


async def test_killed_workers_lose_nothing_and_nobody_is_given_up_for_another() -> None:
    figures = await workers.killed(40, 1.0, 0.05, SLOW_WORKER, **FAST)
    assert each_got_one_poem(figures)
    assert figures.injected > 0
    assert figures.more["in_hand_at_kills"] > 0
    assert figures.more["given_up"] == 0


@pytest.mark.parametrize("door", ["polling", "webhook"])
async def test_a_killed_bot_loses_no_accepted_command_at_either_door(door: bots.Door) -> None:
    figures = await bots.killed(door, 3, 0.1, QUICK_WORKER)
    assert (figures.lost, figures.more["without_poem"]) == (0, 0)
    assert figures.duplicated <= figures.more["unacknowledged_at_kills"]


async def test_a_store_killed_under_load_loses_nothing_and_is_found_again() -> None:
    figures = await store.killed(2, 0.1, 10, SLOW_WORKER, **FAST)
    assert each_got_one_poem(figures)
    assert figures.more["waiting_at_kills"] >= 2
    assert figures.more["programs_that_ended"] == 0


async def test_while_the_store_is_gone_nothing_crashes_or_spins_and_everybody_hears_afterwards() -> None:
    figures = await store.gone(4.0, 10, 10, SLOW_WORKER, **FAST)
    assert (figures.lost, figures.duplicated, figures.more["programs_that_ended"]) == (0, 0, 0)
    # A dozen loops with growing pauses; a single one without would make thousands of attempts.
    assert 0 < figures.more["attempts"] < 200


async def test_a_store_that_stands_still_is_full_or_loses_its_groups_loses_no_poem() -> None:
    figures = await store.suspended_full_and_without_groups(1, 2.0, 0.2, SLOW_WORKER)
    assert each_got_one_poem(figures)
    assert figures.more["groups_destroyed"] > 2
    assert figures.more["programs_that_ended"] == 0


async def test_a_worker_that_stood_still_for_four_leases_adds_nothing_to_what_others_wrote() -> None:
    figures = await stalls.worker(1, 12)
    assert each_got_one_poem(figures)
    assert figures.more["in_flight_at_stops"] > 0


async def test_jobs_that_kill_their_worker_are_given_up_and_told_and_harm_no_other() -> None:
    figures = await workers.crashing_jobs(10, 2)
    assert each_got_one_poem(figures)
    assert (figures.more["dead"], figures.more["listed"], figures.more["apologies"]) == (2, 2, 2)
    assert figures.more["deaths_of_workers"] >= 6
    assert (figures.more["left_after_retry_and_drop"], figures.more["put_back"]) == (0, 1)


async def test_a_failing_telegram_holds_up_nobody_else() -> None:
    figures = await telegram.faulty(40, QUICK_WORKER, late=False)
    assert (figures.lost, figures.more["without_poem"], figures.more["sent_to_unreachable"]) == (0, 0, 0)
    assert figures.injected > 0
    assert figures.duplicated == figures.more["repeated_unavoidably"]


async def test_garbage_for_answers_ends_nothing_spins_nothing_and_loses_no_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "SHARE", 0.4)
    monkeypatch.setattr(garbage, "STRETCH", 2.0)
    figures = await garbage.answered(0.25, 0.1, quick=True, REPLY_DEADLINE="10")
    assert (figures.lost, figures.more["without_poem"], figures.more["programs_that_ended"]) == (0, 0, 0)
    assert figures.duplicated <= figures.more["delivered_with_a_spoilt_answer"]
    assert figures.more["kinds"] >= 8
    # getUpdates; messages, pictures, edits of texts and of buttons, and three kinds of answers.
    assert figures.more["methods"] >= 7
    assert min(figures.more["pictures"], figures.more["inline_poems"]) > 0
    assert figures.more["pictures_and_inline_poems_lost"] == 0
    # Without pauses there would be hundreds.
    assert figures.more["most_getupdates_a_second"] < 50
    assert (figures.more["tracebacks"], figures.more["garbage_in_logs"], figures.more["messages_in_logs"]) == (0, 0, 0)


async def test_a_stalled_bot_repeats_at_most_what_was_on_its_way() -> None:
    figures = await stalls.stalled(8, 4.0)
    assert (figures.lost, figures.more["programs_that_ended"]) == (0, 0)
    assert figures.injected > 2
    assert figures.duplicated <= 1


async def test_a_flood_is_held_to_the_limit_and_told_once_while_others_are_served() -> None:
    figures = await limits.flood(300, 200.0, 10, QUICK_WORKER)
    assert each_got_one_poem(figures)
    # A flood that crosses into the next minute has two windows.
    assert figures.more["poems_for_flooder"] in (6, 12)
    assert figures.more["told_to_slow_down"] == figures.more["poems_for_flooder"] / 6


async def test_one_address_that_asks_for_the_dearest_poems_gets_one_in_minutes() -> None:
    figures = await limits.expensive_poems(4, 5, QUICK_WORKER)
    assert each_got_one_poem(figures)
    assert figures.more["poems_for_it"] <= 4  # those requested before the first one was counted
    assert figures.more["refused"] > 0


async def test_a_full_queue_turns_away_at_once_and_keeps_what_it_accepted() -> None:
    figures = await limits.full(20, 10, QUICK_WORKER)
    assert each_got_one_poem(figures)
    assert (figures.more["told_busy"], figures.more["not_told"], figures.more["told_twice"]) == (10, 0, 0)
    assert figures.more["accepted_but_answered_before_a_worker"] == 0


async def test_silent_connections_beyond_the_descriptors_stop_neither_http_nor_telegram() -> None:
    figures = await connections.idle(1100, 6, QUICK_WORKER, 2.0)
    assert each_got_one_poem(figures)
    assert (figures.more["probes_failed"], figures.more["log_lines"] < 100) == (0, True)


async def test_programs_that_are_stopped_exit_with_0_and_lose_nothing() -> None:
    figures = await ends.stopped(2, 0.1, QUICK_WORKER, **FAST)
    assert each_got_one_poem(figures)
    assert figures.more["not_exit_0"] == 0


async def test_poems_in_a_row_leave_nothing_behind() -> None:
    figures = await growth.measure(400, 100, 8, QUICK_WORKER)
    assert each_got_one_poem(figures)
    assert (figures.more["over_http_failed"], figures.more["keys_that_never_expire_unasked"]) == (0, 0)
    # Memory is only compared in the long form: this one is too short to distinguish growth from warming up.


async def test_updates_that_come_again_and_out_of_order_are_answered_once() -> None:
    assert each_got_one_poem(await updates.shuffled(20, QUICK_WORKER))


async def test_two_bots_on_one_token_answer_once_and_name_the_mistake() -> None:
    figures = await updates.two_bots(10, 0.2, QUICK_WORKER)
    assert each_got_one_poem(figures)
    assert figures.more["conflicts"] > 0


async def test_programs_of_make_run_that_are_killed_come_back_and_lose_nothing(tiny_model: Path) -> None:
    figures = await standalone.killed(3, 0.2, MODEL_DIR=str(tiny_model), **FAST)
    assert (figures.lost, figures.more["without_poem"], figures.more["launcher_ended"]) == (0, 0, 0)
    assert figures.duplicated <= figures.more["unacknowledged_at_kills"]


async def test_a_training_that_is_killed_goes_on_from_its_newest_checkpoint_to_its_end() -> None:
    figures = await training.killed(2, 4_000, 6.0)
    assert figures.lost == 0
    assert figures.injected > 0
    assert figures.more["behind_the_newest_checkpoint"] == 0


async def test_a_second_make_run_in_the_folder_is_refused_and_disturbs_nothing(tiny_model: Path) -> None:
    figures = await standalone.second(1, 0.2, MODEL_DIR=str(tiny_model), **FAST)
    assert each_got_one_poem(figures)
    assert (figures.more["refused"], figures.more["exit_code_of_the_next"]) == (1, 0)


async def test_clocks_that_are_an_hour_off_lose_no_poem_and_are_named() -> None:
    figures = await workers.wrong_clocks(9, QUICK_WORKER)
    assert each_got_one_poem(figures)
    assert 3500 < figures.more["worst_skew_seconds"] < 3700
    assert figures.more["warnings"] == 4


async def test_jobs_of_killed_workers_are_not_given_up_while_all_workers_are_busy() -> None:
    figures = await workers.killed_while_all_busy(30, 2)
    assert each_got_one_poem(figures)
    assert (figures.more["given_up"], figures.more["tries_left"]) == (0, 0)
