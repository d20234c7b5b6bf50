"""The page in a real browser, before the real bot and worker. Screenshots are left in ``build/page``."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from selenium.webdriver import Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from bot.standalone.redis_server import RedisServer
from tests.support.programs import ROOT, answers, environment, program

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no Chromium here (Debian: apt install chromium chromium-driver)"
)
SHOTS = ROOT / "build" / "page"
PHONE, DESK = (390, 844), (1280, 800)
LINE = "老夫聊发少年狂"
CONTRAST = 4.5
"""What WCAG 2.2 (AA) asks of text."""

Page = Callable[..., "Browser"]


class Browser:
    """A page that is open."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, holds: Callable[[], object]) -> None:
        WebDriverWait(self.driver, 10, 0.05).until(lambda _: holds())

    def poem(self) -> list[str]:
        """The characters of each line, without the tones beside them."""
        found = self.driver.execute_script(
            "return [...document.querySelectorAll('#lines > span')].map(line => "
            "[...line.querySelectorAll('ruby')].map(ruby => ruby.firstChild.textContent).join(''))"
        )
        return [str(line) for line in found]

    def written(self, before: str = "") -> list[str]:
        """Wait for a poem whose address is not ``before``."""
        self.until(lambda: self.find("#poem").is_displayed() and self.driver.current_url != before)
        return self.poem()

    def ask(self, text: str) -> None:
        field = self.find("[name=text]")
        field.clear()
        field.send_keys(text, Keys.ENTER)

    def shoot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SHOTS / f"{name}.png"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def where(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder = tmp_path_factory.mktemp("page")
    store = RedisServer(folder / "store")
    store.start()
    environ = environment(store.url, None)
    url = f"http://127.0.0.1:{environ['HTTP_PORT']}"
    try:
        async with (
            program(folder / "worker.log", "-m", "engine", environ=environ),
            program(folder / "bot.log", "-m", "bot", environ=environ),
        ):
            await answers(f"{url}/readyz")
            yield url
    finally:
        store.stop()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--force-device-scale-factor=1",
    ):
        options.add_argument(word)
    options.add_experimental_option("prefs", {"intl.accept_languages": "zh-CN"})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver: Chrome, where: str) -> Iterator[Page]:
    """Opens the page at a path. Afterwards: it has asked nobody else, and no script failed."""

    def open_(path: str = "/", size: tuple[int, int] = DESK, scheme: str = "light") -> Browser:
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        screen = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get(f"{where}{path}")
        return Browser(driver)

    yield open_
    asked = driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert asked
    assert [url for url in asked if not url.startswith((where, "blob:", "data:"))] == []
    log = driver.execute("getLog", {"type": "browser"})["value"]
    wrong = [entry["message"] for entry in log if entry["level"] == "SEVERE"]
    assert [message for message in wrong if "responded with a status of 4" not in message] == []


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


def test_the_tones_of_the_template_are_shown_on_demand_one_a_character(page: Page) -> None:
    browser = page(f"/?text={LINE}&form=七绝&seed=1&candidates=1")
    lines = browser.written()
    button = browser.find("#tones")
    assert browser.all("#lines rt") == []
    button.click()
    browser.until(lambda: browser.find("#key").is_displayed())
    tones = [
        "".join(mark.text for mark in column.find_elements(By.TAG_NAME, "rt"))
        for column in browser.all("#lines > span")
    ]
    # 七绝·平起首句入韵: 平平仄仄仄平平, 仄仄平平仄仄平, 仄仄平平平仄仄, 平平仄仄仄平平
    assert browser.find("#name").text.startswith("七绝·平起首句入韵")
    assert tones == ["中平中仄仄平平", "中仄平平中仄平", "中仄中平平仄仄", "中平中仄仄平平"]
    assert [len(line) for line in lines] == [7] * 4
    assert len(browser.all("#lines .rhyme")) == 3
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert not browser.find("#key").is_displayed()
    assert not any(mark.is_displayed() for mark in browser.all("#lines rt"))


def test_a_poem_without_a_template_offers_no_tones(page: Page) -> None:
    browser = page("/?text=山有木兮木有枝&form=古风&seed=1&candidates=1")
    browser.written()
    assert not browser.find("#tones").is_displayed()


def test_the_address_and_the_copied_link_give_the_same_poem_again(page: Page) -> None:
    browser = page("/")
    browser.ask("春眠不觉晓")
    lines = browser.written()
    address = browser.driver.current_url
    browser.driver.get("about:blank")
    browser.driver.get(address)
    assert browser.written() == lines


def test_another_is_another_poem_from_the_same_line(page: Page) -> None:
    browser = page("/")
    browser.ask("春眠不觉晓")
    lines, before = browser.written(), browser.driver.current_url
    browser.find("#another").click()
    again = browser.written(before)
    assert again[0] == lines[0] == "春眠不觉晓"
    assert again != lines


def test_a_picture_is_offered_and_saved(page: Page, tmp_path: Path) -> None:
    browser = page(f"/?text={LINE}&form=七绝&seed=1&candidates=1")
    browser.written()
    saving = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.driver.execute_cdp_cmd("Page.setDownloadBehavior", saving)
    browser.find("#picture").click()
    browser.until(lambda: list(tmp_path.glob("*.png")))
    [saved] = tmp_path.glob("*.png")
    assert saved.name == f"{LINE}.png"
    assert saved.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("text", "word"), [("hello", "汉字"), ("", "先写"), ("支那猪", "换")])
def test_what_cannot_be_served_is_told_in_words_and_kept_in_the_field(page: Page, text: str, word: str) -> None:
    browser = page("/")
    browser.ask(text)
    browser.until(lambda: word in browser.find("#said").text)
    assert "error" in str(browser.find("#said").get_attribute("class"))
    assert browser.find("[name=text]").get_attribute("value") == text
    assert not browser.find("#poem").is_displayed()


def test_the_page_is_there_in_three_languages_and_remembers_which(page: Page) -> None:
    browser = page("/")
    written = {}
    for language in ("zh-Hant", "en", "zh-Hans", "en"):
        browser.find(f"[data-language={language}]").click()
        assert browser.find("html").get_attribute("lang") == language
        written[language] = browser.find(".write").text
    assert written == {"zh-Hans": "写诗", "zh-Hant": "寫詩", "en": "Write"}
    browser.driver.refresh()
    assert browser.find(".write").text == "Write"
    browser.ask("hello")
    browser.until(lambda: "Chinese" in browser.find("#said").text)
    browser.find("[data-language=zh-Hans]").click()


def test_the_keyboard_alone_reaches_everything_and_everything_has_a_name(page: Page) -> None:
    browser = page(f"/?text={LINE}&form=七绝&rhyme=七阳&seed=1&candidates=1")
    browser.written()
    wanted = {node.id for node in browser.all("button, select, summary, input") if node.is_displayed()}
    assert all(node.accessible_name for node in browser.all("button, select, summary, input") if node.is_displayed())
    reached = set()
    for _ in range(2 * len(wanted)):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(browser.driver.switch_to.active_element.id)
    missed = [node for node in browser.all("input") if node.id in wanted - reached]
    assert [node.get_attribute("value") for node in missed] == ["acrostic"], "of two modes arrows lead to the other"
    assert wanted - reached == {node.id for node in missed}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK])
def test_nothing_sticks_out_and_all_is_legible(page: Page, size: tuple[int, int], scheme: str) -> None:
    browser = page("/?mode=acrostic&text=夜月一帘幽梦&form=七言&seed=1&candidates=1", size, scheme)
    browser.written()
    browser.find("#tones").click()
    browser.until(lambda: browser.find("#key").is_displayed())
    browser.shoot(f"{size[0]}x{size[1]}-{scheme}")
    wide, tall = browser.driver.execute_script(
        "return [document.documentElement.scrollWidth, document.querySelector('#lines').scrollHeight]"
    )
    assert wide <= size[0]
    assert tall <= 0.75 * size[1] + 1
    paper = luminance(browser.find("body").value_of_css_property("background-color"))
    for selector in ("#lines span", "#lines b", "#lines rt", "#name", "#key", "summary", "h1", "#another"):
        ink = luminance(browser.find(selector).value_of_css_property("color"))
        light, dark = max(ink, paper), min(ink, paper)
        assert (light + 0.05) / (dark + 0.05) >= CONTRAST, selector


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(…)`` or ``rgba(…)``, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
