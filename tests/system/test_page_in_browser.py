"""The behaviour of the page, in a real browser with the real bot and worker."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.support.browser import DESK, PHONE, Browser, Page, needs_chromium

pytestmark = needs_chromium
LINE = "老夫聊发少年狂"
QUATRAIN = f"/?text={LINE}&form=七绝&seed=1&candidates=1"
TWENTY = "/?mode=acrostic&text=夜月一帘幽梦春风十里柔情一二三四五六七八&form=七言&seed=1&candidates=1"


def test_a_typed_line_becomes_a_poem_set_vertically_that_begins_with_it(page: Page) -> None:
    browser = page("/")
    browser.ask(LINE)
    lines = browser.written()
    assert len(lines) == 8
    assert lines[0] == LINE
    assert browser.find("#poem").value_of_css_property("writing-mode") == "vertical-rl"
    first, second = (browser.all("#lines > span")[place].rect["x"] for place in (0, 1))
    assert first > second, "columns run from right to left"
    assert browser.driver.switch_to.active_element == browser.find("#poem"), "a screen reader is led to the poem"


def test_the_heads_of_an_acrostic_are_marked(page: Page) -> None:
    browser = page("/?mode=acrostic&text=春风十里&seed=4&candidates=1")
    lines = browser.written()
    assert "".join(line[0] for line in lines) == "春风十里"
    assert [head.text for head in browser.all("#lines b")] == list("春风十里")


def test_a_theme_alone_becomes_a_poem_with_the_theme_for_its_title(page: Page) -> None:
    browser = page("/")
    browser.choose("theme")
    browser.ask("月夜")
    lines = browser.written()
    assert [len(line) for line in lines] == [7] * 4
    assert browser.find("#name").text.startswith("月夜")
    assert "七言绝句" in browser.find("#name").text
    browser.speak("en")
    browser.ask("autumn")
    assert browser.written(browser.driver.current_url)
    browser.speak("zh-Hans")


def test_the_empty_page_shows_a_poem_and_says_what_each_control_does(page: Page) -> None:
    browser = page("/")
    assert browser.poem() == ["春江无限水声流", "风雨萧萧日月秋", "十载故人何处去", "里闾依旧五湖头"]
    assert "春风十里" in browser.find("#gloss").text
    assert browser.requests() == [], "it is there without asking for anything"
    hints = set()
    for mode in ("continue", "acrostic", "theme"):
        browser.choose(mode)
        hints.add(browser.find("#hint").text)
    assert len(hints) == 3
    assert all(hints)
    assert "程序" in browser.find("footer").text


@pytest.mark.parametrize(("mode", "given"), [("continue", LINE), ("acrostic", "春风十里"), ("theme", "思乡")])
def test_write_without_a_text_takes_the_example_in_the_field(page: Page, mode: str, given: str) -> None:
    browser = page("/")
    browser.choose(mode)
    browser.find(".write").click()
    lines = browser.written()
    assert browser.find("[name=text]").get_attribute("value") == given
    if mode != "theme":
        assert given in (lines[0], "".join(line[0] for line in lines))


def test_the_tones_of_the_template_are_shown_on_demand_one_a_character(page: Page) -> None:
    browser = page(QUATRAIN)
    lines = browser.written()
    button = browser.find("#tones")
    assert browser.all("#lines rt") == []
    button.click()
    browser.until(lambda: "平声" in browser.find("#gloss").text)
    tones = [
        "".join(mark.text for mark in column.find_elements(By.TAG_NAME, "rt"))
        for column in browser.all("#lines > span")
    ]
    # 七绝·平起首句入韵: 平平仄仄仄平平, 仄仄平平仄仄平, 仄仄平平平仄仄, 平平仄仄仄平平
    assert "平起首句入韵" in browser.find("#name").text
    assert tones == ["中平中仄仄平平", "中仄平平中仄平", "中仄中平平仄仄", "中平中仄仄平平"]
    assert [len(line) for line in lines] == [7] * 4
    assert len(browser.all("#lines .rhyme")) == 3
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert "平声" not in browser.find("#gloss").text
    assert not any(mark.is_displayed() for mark in browser.all("#lines rt"))


def test_a_poem_without_a_template_offers_no_tones(page: Page) -> None:
    browser = page("/?text=山有木兮木有枝&form=古风&seed=1&candidates=1")
    browser.written()
    assert not browser.find("#tones").is_displayed()


def test_a_link_shows_the_poem_that_was_written_and_writes_none(page: Page) -> None:
    browser = page("/")
    browser.choose("acrostic")
    browser.ask("春风十里")
    lines, address = browser.written(), browser.driver.current_url
    browser.driver.get("about:blank")
    browser.driver.get(address)
    assert browser.written() == lines
    assert browser.requests() == [f"poems/{address.rpartition('/')[2]}"], "it was fetched, not written"
    assert browser.find("[name=text]").get_attribute("value") == "春风十里"
    assert browser.find("[value=acrostic]").is_selected()
    assert browser.driver.title == f"{lines[0]} · 唐韵"


def test_the_browsers_back_leads_to_the_poem_before(page: Page) -> None:
    browser = page("/")
    browser.ask("春眠不觉晓")
    lines, before = browser.written(), browser.driver.current_url
    browser.find("#another").click()
    again = browser.written(before)
    assert again[0] == lines[0] == "春眠不觉晓"
    assert again != lines
    browser.driver.back()
    browser.until(lambda: browser.driver.current_url == before and browser.poem() == lines)


def test_a_link_that_is_too_old_says_so_and_leaves_a_page_to_write_with(page: Page) -> None:
    browser = page("/poems/0-0.aaaaaaaa")
    browser.wait_for_status("三十天")
    assert len(browser.poem()) == 4
    browser.ask(LINE)
    assert browser.written()[0] == LINE


@pytest.mark.parametrize("name", ["五绝", "五絕"])
def test_links_by_parameters_go_on_working_and_keep_their_form(page: Page, name: str) -> None:
    browser = page(f"/?mode=acrostic&text=春风十里&form={name}&rhyme=七陽&mood=大漠孤烟直&seed=1&candidates=1")
    lines = browser.written()
    assert "".join(line[0] for line in lines) == "春风十里"
    assert {len(line) for line in lines} == {5}
    fields = {field: browser.find(f"[name={field}]").get_attribute("value") for field in ("form", "rhyme", "mood")}
    assert fields == {"form": "五绝", "rhyme": "七阳", "mood": "大漠孤烟直"}
    browser.find("#another").click()
    assert {len(line) for line in browser.written(browser.driver.current_url)} == {5}


@pytest.mark.parametrize("clipboard", ["new", "old"])
def test_copy_puts_poem_and_link_into_the_clipboard_and_says_so(page: Page, clipboard: str) -> None:
    browser = page(QUATRAIN)
    lines = browser.written()
    browser.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    if clipboard == "old":  # as on a page without TLS
        browser.driver.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    browser.find("#copy").click()
    browser.wait_for_status("已复制")
    assert "".join(pasted(browser).split()) == f"{lines[0]}，{lines[1]}。{lines[2]}，{lines[3]}。"
    browser.find("#link").click()
    browser.wait_for_status("链接已复制")
    assert pasted(browser) == browser.driver.current_url


def pasted(browser: Browser) -> str:
    field = browser.find("[name=text]")
    browser.driver.execute_script("arguments[0].maxLength = 999; arguments[0].value = ''", field)
    field.send_keys(Keys.CONTROL, "v")
    return str(field.get_attribute("value"))


def test_a_picture_is_drawn_in_sight_and_saved(page: Page, tmp_path: Path) -> None:
    browser = page(QUATRAIN)
    browser.written()
    saving = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.driver.execute_cdp_cmd("Page.setDownloadBehavior", saving)
    browser.driver.execute_script(
        "window.go = null; const ask = fetch; window.fetch = async (...words) => {"
        " await new Promise((go) => { window.go = go; }); return ask(...words); }"
    )
    browser.find("#picture").click()
    browser.wait_for_status("正在画")
    assert not browser.find("#picture").is_enabled()
    browser.driver.execute_script("window.go()")
    browser.wait_for_status("画好")
    assert browser.find("#picture").is_enabled()
    browser.until(lambda: list(tmp_path.glob("*.png")))
    [saved] = tmp_path.glob("*.png")
    assert saved.name == f"{LINE}.png"
    assert saved.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("text", "word"), [("hello", "汉字"), ("支那猪", "不宜")])
def test_what_cannot_be_served_is_told_in_words_and_kept_in_the_field(page: Page, text: str, word: str) -> None:
    browser = page("/")
    browser.ask(text)
    browser.wait_for_status(word)
    assert "error" in str(browser.find("#said").get_attribute("class"))
    assert browser.find("[name=text]").get_attribute("value") == text
    assert not browser.find("#actions").is_displayed()


def test_an_error_follows_the_chosen_language(page: Page) -> None:
    browser = page("/")
    browser.ask("hello")
    browser.wait_for_status("汉字")
    browser.speak("zh-Hant")
    browser.wait_for_status("漢字")
    browser.speak("en")
    browser.wait_for_status("Chinese characters")
    assert "汉字" not in browser.find("#said").text
    browser.speak("zh-Hans")


def test_the_page_is_there_in_three_languages_and_remembers_which(page: Page) -> None:
    browser = page(QUATRAIN)
    browser.written()
    written, forms = {}, {}
    for language in ("zh-Hant", "en", "zh-Hans", "en"):
        browser.speak(language)
        assert browser.find("html").get_attribute("lang") == language
        assert browser.find("#poem").get_attribute("lang") == "zh"
        written[language] = browser.find(".write").text
        forms[language] = [option.text for option in browser.all("[name=form] option")][1]
    assert written == {"zh-Hans": "写诗", "zh-Hant": "寫詩", "en": "Write"}
    assert forms == {"zh-Hans": "五绝", "zh-Hant": "五絕", "en": "五绝 · 4 lines of 5"}
    assert browser.find("#gloss").text == "Quatrain: 4 lines of 7 characters, rhyming on -ang"
    browser.driver.refresh()
    assert browser.find(".write").text == "Write"
    browser.ask("hello")
    browser.wait_for_status("Chinese")
    browser.speak("zh-Hans")


def test_a_poem_of_twenty_lines_is_scrolled_by_keyboard_and_says_that_it_goes_on(page: Page) -> None:
    for size in (PHONE, DESK):
        browser = page(TWENTY, size)
        assert len(browser.written()) == 20
        assert browser.find("#onward").is_displayed()
        browser.driver.execute_script("document.querySelector('#poem').focus()")
        assert browser.driver.switch_to.active_element == browser.find("#poem")
        for _ in range(40):
            browser.driver.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
        hint = browser.find("#onward")
        browser.until(partial(hidden, hint))


def hidden(node: WebElement) -> bool:
    return not node.is_displayed()


@pytest.mark.parametrize("path", ["/", QUATRAIN])
def test_without_scripts_the_poem_is_there_and_a_line_says_what_is_missing(page: Page, path: str) -> None:
    browser = page(path)
    address, lines = browser.driver.current_url, browser.poem()
    if path != "/":
        lines, address = browser.written(), browser.driver.current_url
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.driver.get(address)
        assert ["".join(column.text.split()) for column in browser.all("#lines > span")] == lines
        assert "JavaScript" in browser.find("noscript").text
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_keyboard_alone_reaches_everything_and_everything_has_a_name(page: Page) -> None:
    browser = page(f"{QUATRAIN}&rhyme=七阳")
    browser.written()
    wanted = {node.id for node in browser.all("button, select, summary, input") if node.is_displayed()}
    assert all(node.accessible_name for node in browser.all("button, select, summary, input") if node.is_displayed())
    reached = set()
    for _ in range(2 * len(wanted)):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(browser.driver.switch_to.active_element.id)
    missed = [node for node in browser.all("input") if node.id in wanted - reached]
    values = [node.get_attribute("value") for node in missed]
    assert values == ["acrostic", "theme"], "of three modes arrows lead to the others"
    assert wanted - reached == {node.id for node in missed}
