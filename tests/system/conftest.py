"""The page of the real bot and worker in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from selenium.webdriver import Chrome

from bot.standalone.redis_server import RedisServer
from tests.support.browser import DESK, PHONE, Browser, Page, start
from tests.support.programs import answers, environment, program


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
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
    driver = start(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver: Chrome, site: str) -> Iterator[Page]:
    """Opens the page at a path. Checks afterwards that it contacted no other server and no script failed."""

    def open_(path: str = "/", size: tuple[int, int] = DESK, scheme: str = "light") -> Browser:
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        screen = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get(f"{site}{path}")
        return Browser(driver)

    yield open_
    asked = driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert asked
    assert [url for url in asked if not url.startswith((site, "blob:", "data:"))] == []
    log = driver.execute("getLog", {"type": "browser"})["value"]
    wrong = [entry["message"] for entry in log if entry["level"] == "SEVERE"]
    assert [message for message in wrong if "responded with a status of 4" not in message] == []
