"""Controls the page in a headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.programs import ROOT

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no Chromium here (Debian: apt install chromium chromium-driver)"
)
SHOTS = ROOT / "build" / "page"
PHONE, DESK = (390, 844), (1280, 800)

Page = Callable[..., "Browser"]


class Browser:
    """The page in a browser."""

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
        """Wait for a poem at an address that is not ``before``."""
        self.until(lambda: self.find("#actions").is_displayed() and self.find("#another").is_enabled())
        self.until(lambda: "/poems/" in self.driver.current_url and self.driver.current_url != before)
        return self.poem()

    def requests(self) -> list[str]:
        """The API paths that the page has requested since it was loaded."""
        names = self.driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        return [str(name).partition("/api/")[2] for name in names if "/api/" in str(name)]

    def wait_for_status(self, text: str) -> None:
        """Wait until ``text`` is in the status line."""
        self.until(lambda: text in self.find("#said").text)

    def choose(self, mode: str) -> None:
        self.find(f"[value={mode}]").click()

    def speak(self, language: str) -> None:
        self.find(f"[data-language={language}]").click()

    def ask(self, text: str) -> None:
        field = self.find("[name=text]")
        field.clear()
        field.send_keys(text, Keys.ENTER)

    def shoot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SHOTS / f"{name}.png"))


def start(home: Path) -> Chrome:
    """Start a browser. ``home`` gets the font of the pictures, for machines without a Chinese one."""
    fonts = home / "fonts"
    fonts.mkdir(parents=True)
    (fonts / "serif.otf").symlink_to(str(resources.files("pylopdf_fonts_zh_cn") / "NotoSerifSC-Regular.otf"))
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--force-device-scale-factor=1"):
        options.add_argument(word)
    options.add_experimental_option("prefs", {"intl.accept_languages": "zh-CN"})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return Chrome(options, ChromeService(DRIVER, env={**os.environ, "XDG_DATA_HOME": str(home)}))


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, as WCAG defines it: 1 (none) to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(…)`` or ``rgba(…)``, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
