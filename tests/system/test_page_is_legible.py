"""The page in a real browser: nothing is cut off, everything is legible, and there are no accessibility faults."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import DESK, PHONE, Browser, Page, contrast, needs_chromium
from tests.support.programs import ROOT

pytestmark = needs_chromium
TEXT, BORDER = 4.5, 3.0
"""The contrast that WCAG 2.2 (AA) requires of text, and of what identifies a control."""
TWENTY = "夜月一帘幽梦春风十里柔情一二三四五六七八"
STATES = {
    "empty": "/",
    "poem": "/?mode=acrostic&text=夜月一帘幽梦春风&form=七言&seed=1&candidates=1",
    "twenty": f"/?mode=acrostic&text={TWENTY}&form=七言&seed=1&candidates=1",
    "error": "/?text=hello&rhyme=七阳",
}
EVERYWHERE = [(size, scheme) for size in (PHONE, DESK) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def poem_addresses() -> dict[str, str]:
    """The addresses of the poems that were written, so that each is written once."""
    return {}


@pytest.fixture
def shown(page: Page, poem_addresses: dict[str, str], size: tuple[int, int], scheme: str, state: str) -> Browser:
    browser = page(poem_addresses.get(state, STATES[state]), size, scheme)
    if state == "error":
        browser.wait_for_status("汉字")
    elif state != "empty":
        browser.written()
        poem_addresses[state] = f"/poems/{browser.driver.current_url.rpartition('/')[2]}"
        browser.find("#tones").click()
        browser.until(lambda: browser.all("#lines rt"))
    return browser


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, which checks accessibility. ``make test`` fetches it with npm."""
    found: list[Path] = sorted(ROOT.glob("build/axe-core-*/node_modules/axe-core/axe.min.js"))
    if not found:
        pytest.skip("axe-core is not in build/: `make test` fetches it where npm can")
    return found[-1].read_text("utf-8")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("size", "scheme"), EVERYWHERE)
def test_axe_finds_no_barrier(shown: Browser, axe: str, size: tuple[int, int], scheme: str, state: str) -> None:
    shown.shoot(f"{state}-{size[0]}x{size[1]}-{scheme}")
    shown.driver.execute_script(axe)
    found: dict[str, Any] = shown.driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    assert found["passes"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("size", "scheme"), EVERYWHERE)
def test_nothing_sticks_out_and_the_book_fills_the_screen(
    shown: Browser, size: tuple[int, int], scheme: str, state: str
) -> None:
    wide, tall, book = shown.driver.execute_script(
        "const book = document.querySelector('.book').getBoundingClientRect();"
        "return [document.documentElement.scrollWidth, document.documentElement.scrollHeight, book.toJSON()]"
    )
    assert wide == size[0]
    if size == DESK:
        assert tall == size[1], "the first screen is all of it"
        assert book["width"] > 0.9 * size[0]
        return
    assert book["width"] > size[0] - 32
    boxes = [shown.find(selector).rect for selector in (".fold", ".leaf", ".desk")]
    for above, below in itertools.pairwise(boxes):
        assert below["y"] - above["y"] - above["height"] < 8, "no blank strip between the parts"
    last = shown.find(".write").rect
    assert boxes[-1]["y"] + boxes[-1]["height"] - last["y"] - last["height"] < 40, "nor below the last"


@pytest.mark.parametrize("state", ["poem", "error"])
@pytest.mark.parametrize(("size", "scheme"), EVERYWHERE)
def test_text_and_borders_stand_out_from_the_paper(
    shown: Browser, size: tuple[int, int], scheme: str, state: str
) -> None:
    paper = shown.find(".book").value_of_css_property("background-color")
    field = shown.find("#text").value_of_css_property("background-color")
    texts = [
        "#lines span",
        "#name",
        "#name small",
        "#gloss",
        "summary",
        "h1",
        "#another",
        "#hint",
        "#about-mood",
        "#lede",
    ]
    for selector in texts + (["#lines b", "#lines rt", "#lines .rhyme rt"] if state == "poem" else ["#said"]):
        assert contrast(shown.find(selector).value_of_css_property("color"), paper) >= TEXT, selector
    placeholder = shown.driver.execute_script(
        "return getComputedStyle(document.querySelector('[name=mood]'), '::placeholder').color"
    )
    assert contrast(placeholder, field) >= TEXT
    table = shown.find("body").value_of_css_property("background-color")
    assert contrast(shown.find("footer").value_of_css_property("color"), table) >= TEXT
    for selector in ("#text", "[name=form]", "[name=mood]", "#another", "[type=radio]:not(:checked)"):
        border = shown.find(selector).value_of_css_property("border-top-color")
        assert min(contrast(border, paper), contrast(border, field)) >= BORDER, selector
    marks = {shown.find(s).value_of_css_property("appearance") for s in ("[type=radio]", "[name=form]")}
    assert marks == {"none"}, "the page's own"
