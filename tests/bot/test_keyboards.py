"""The buttons: under every poem, after a restart, for any user, however often they are pressed."""

from __future__ import annotations

import pytest

from bot.standalone.redis_server import RedisServer
from bot.views.drawing import Draw, load_draw
from bot.views.keyboards import MOODS, ButtonAction, choose_form, choose_mood, forms_for, under_poem
from engine.contract import PoemRequest
from engine.contract.poem import MAX_TEXT
from engine.contract.queue.cards import digest
from engine.contract.queue.store import Queue
from tests.support.fake_bot_api import Fault
from tests.support.fake_poet import FakePoet
from tests.support.fake_telegram import FakeTelegram
from tests.support.running import running_bot

PNG = b"\x89PNG\r\n\x1a\n"


def fake_drawing() -> Draw:
    """Draws nothing; cannot draw 龘."""
    return lambda poem, heads: "龘" if "龘" in poem.text else PNG


@pytest.fixture(autouse=True)
def _drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.app.load_draw", fake_drawing)


async def test_another_poem_begins_with_the_same_words_and_answers_the_first(chat: FakeTelegram) -> None:
    await chat.write("/continue 七绝 老夫聊发少年狂")
    [first] = await chat.messages(1)
    answer = await chat.answered(await chat.press(first, "再来一首"))
    assert answer["text"] == "正在写……"
    _, second = await chat.messages(2)
    assert second.plain.startswith("老夫聊发少年狂，")
    assert second.plain.endswith("七绝")
    assert second.reply_to == first.number
    assert second.buttons != first.buttons


async def test_a_form_is_chosen_among_those_that_fit_and_the_buttons_come_back(chat: FakeTelegram) -> None:
    await chat.write("/continue 老夫聊发少年狂")
    [first] = await chat.messages(1)
    await chat.answered(await chat.press(first, "换体裁"))
    await chat.until(lambda: chat.shown[first.number][1] != first.markup)
    await chat.answered(await chat.press(first, "七绝"))
    _, second = await chat.messages(2)
    assert second.plain.endswith("七绝")
    await chat.until(lambda: chat.shown[first.number][1] == first.markup)


async def test_a_mood_steers_the_next_poem(chat: FakeTelegram, poet: FakePoet, queue: Queue) -> None:
    await chat.write("/acrostic 春风十里")
    [first] = await chat.messages(1)
    await chat.answered(await chat.press(first, "换意境"))
    await chat.until(lambda: chat.shown[first.number][1] != first.markup)
    _, shown = chat.shown[first.number]
    assert shown is not None
    label = shown["inline_keyboard"][0][0]["text"]
    await chat.answered(await chat.press(first, label))
    _, second = await chat.messages(2)
    card = await queue.cards.find(ButtonAction.read(second.buttons["再来一首"]).card)  # type: ignore[union-attr]
    assert card is not None
    assert card.request.mood in [verse for name, _, verse in MOODS if name == label]


async def test_a_menu_can_be_left_again(chat: FakeTelegram) -> None:
    await chat.write("/acrostic 春风十里")
    [first] = await chat.messages(1)
    await chat.answered(await chat.press(first, "换意境"))
    await chat.until(lambda: chat.shown[first.number][1] != first.markup)
    await chat.answered(await chat.press(first, "返回"))
    await chat.until(lambda: chat.shown[first.number][1] == first.markup)
    assert len(chat.sent) == 1


async def test_pressing_again_while_the_poem_is_written_adds_nothing(chat: FakeTelegram, poet: FakePoet) -> None:
    await chat.write("/acrostic 春风十里")
    [first] = await chat.messages(1)
    poet.may_go_on.clear()
    answers = [await chat.answered(await chat.press(first, "再来一首", user=user)) for user in (7, 7, 8, 7)]
    assert [answer["text"] for answer in answers] == ["正在写……", *["正在写，请稍候。"] * 3]
    poet.may_go_on.set()
    await chat.messages(2)
    # Once it has arrived, another one may be requested.
    assert (await chat.answered(await chat.press(first, "再来一首")))["text"] == "正在写……"
    await chat.messages(3)
    assert poet.batches == [["春风十里"]] * 3


async def test_a_button_works_after_a_restart_and_for_somebody_else_in_their_language(
    server: RedisServer, poet: FakePoet, prefix: str, telegram: FakeTelegram
) -> None:
    async with running_bot(server.url, prefix, telegram):
        await telegram.write("/acrostic 春风十里", chat=-100, kind="supergroup", topic=3)
        [first] = await telegram.messages(1)
    query = await telegram.press(first, "再来一首", user=99, language="en")
    async with running_bot(server.url, prefix, telegram):
        assert (await telegram.answered(query))["text"] == "Writing …"
        _, second = await telegram.messages(2)
    assert (second.chat, second.topic) == (-100, 3)
    assert "Another" in second.buttons


async def test_a_press_that_is_delivered_twice_writes_one_poem(chat: FakeTelegram, poet: FakePoet) -> None:
    await chat.write("/acrostic 春风十里")
    [first] = await chat.messages(1)
    poet.may_go_on.clear()
    query = await chat.press(first, "再来一首")
    await chat.answered(query)
    made = {
        "id": query,
        "chat_instance": "1",
        "data": first.buttons["再来一首"],
        "from": {"id": 7, "is_bot": False, "first_name": "某"},
    }
    message = {"message_id": first.number, "date": 1, "chat": {"id": 7, "type": "private"}, "text": "x"}
    await chat.put({"update_id": int(query[1:]), "callback_query": made | {"message": message}})
    await chat.confirmed(int(query[1:]))
    poet.may_go_on.set()
    await chat.messages(2)
    await chat.write("/help")
    await chat.messages(3)
    assert len(poet.batches) == 2


@pytest.mark.parametrize("data", ["another:gone", "nonsense", "form::", "mood:gone:99", "language::xx", ":"])
async def test_an_old_or_strange_button_gets_a_friendly_word(chat: FakeTelegram, data: str) -> None:
    await chat.write("/acrostic 春风十里")
    [first] = await chat.messages(1)
    answer = await chat.answered(await chat.press_data(first, data))
    assert "已过期" in answer["text"]
    assert len(chat.sent) == 1


async def test_who_presses_too_fast_is_told_so_each_time(
    server: RedisServer, poet: FakePoet, prefix: str, telegram: FakeTelegram
) -> None:
    async with running_bot(server.url, prefix, telegram, USER_PER_MINUTE="1"):
        await telegram.write("/acrostic 春风十里")
        [first] = await telegram.messages(1)
        for _ in range(2):
            answer = await telegram.answered(await telegram.press(first, "再来一首"))
            assert "太频繁" in answer["text"]
    assert len(telegram.sent) == 1


async def test_a_picture_is_sent_once_with_the_poem_below_it(chat: FakeTelegram) -> None:
    await chat.write("/acrostic 春风十里")
    [first] = await chat.messages(1)
    chat.faults.append(Fault("sendPhoto", 429, "Too Many Requests", {"retry_after": 0}))
    assert (await chat.answered(await chat.press(first, "配图")))["text"] == "正在画……"
    await chat.until(lambda: bool(chat.photos))
    assert chat.photos[0].text == first.text
    assert chat.photos[0].reply_to == first.number
    assert "已经发过" in (await chat.answered(await chat.press(first, "配图")))["text"]


async def test_the_picture_that_comes_is_the_drawn_poem(
    server: RedisServer, poet: FakePoet, prefix: str, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.load_draw", load_draw)
    async with running_bot(server.url, prefix, telegram):
        await telegram.write("/acrostic 春风十里")
        [first] = await telegram.messages(1)
        await telegram.press(first, "配图")
        await telegram.until(lambda: bool(telegram.photos))
    [drawn] = telegram.uploads
    assert drawn.startswith(PNG)
    assert len(drawn) > 10_000


async def test_a_poem_that_cannot_be_drawn_stays_in_words(chat: FakeTelegram) -> None:
    await chat.write("/acrostic 龘")
    [first] = await chat.messages(1)
    await chat.press(first, "配图")
    _, second = await chat.messages(2)
    assert "龘" in second.plain
    assert chat.photos == []


async def test_without_the_extra_there_is_no_picture_button(
    server: RedisServer, poet: FakePoet, prefix: str, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.load_draw", lambda: None)
    async with running_bot(server.url, prefix, telegram):
        await telegram.write("/acrostic 春风十里")
        [first] = await telegram.messages(1)
    assert list(first.buttons) == ["再来一首", "换体裁", "换意境", "分享"]


async def test_a_picture_that_fails_for_want_of_telegram_is_sent_later(chat: FakeTelegram) -> None:
    await chat.write("/acrostic 春风十里")
    [first] = await chat.messages(1)
    chat.faults.append(Fault("sendPhoto", 500))
    await chat.press(first, "配图")
    await chat.until(lambda: bool(chat.photos))
    assert len(chat.photos) == 1


def test_no_button_has_more_data_than_telegram_takes() -> None:
    request = PoemRequest("continue", "春" * 7)
    for name in ("1999999999999-999999", digest(PoemRequest("continue", "春" * MAX_TEXT))):
        for markup in (
            under_poem(name, "en", True),
            choose_form(name, request, "en"),
            choose_mood(name, request, "en"),
        ):
            for row in markup.inline_keyboard:
                for button in row:
                    assert 1 <= len(str(button.callback_data).encode()) <= 64
                    assert ButtonAction.read(str(button.callback_data)) is not None


def test_only_forms_that_the_words_fit_are_offered() -> None:
    assert forms_for(PoemRequest("continue", "老夫聊发少年狂")) == ["七绝", "七律", "排律", "古风"]
    assert forms_for(PoemRequest("continue", "明月几时有")) == ["五绝", "五律", "排律", "古风"]
    assert set(forms_for(PoemRequest("acrostic", "春风十里"))) == {"五绝", "七绝", "古风"}


def test_three_moods_are_offered_and_none_that_the_poem_has() -> None:
    for _, _, verse in MOODS:
        markup = choose_mood("1-0", PoemRequest("continue", "春", mood=verse), "en")
        numbers = [int(str(b.callback_data).rsplit(":", 1)[1]) for b in markup.inline_keyboard[0]]
        assert len(set(numbers)) == 3
        assert verse not in [MOODS[number][2] for number in numbers]
