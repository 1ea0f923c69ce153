"""Pages in a real browser: what it complains of fails the test, and so does what axe finds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from twin_assets_tests.support.site import Api

DESKTOP = {"width": 1100, "height": 850}
PHONE = {"width": 390, "height": 800}


@pytest.fixture
def problems() -> list[str]:
    """What the browser complains of; a test that brings it about clears it."""
    return []


@pytest.fixture
def open_page(browser: Browser, problems: list[str]) -> Iterator[Callable[[Api, str], Page]]:
    """Opens a page of an application; nothing may fail in it, and nothing may ask another host."""
    opened: list[tuple[Page, Api, list[str]]] = []

    def make(api: Api, path: str) -> Page:
        page = browser.new_page(viewport=DESKTOP, locale="en-GB")
        page.set_default_timeout(20_000)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{api.url}{path}")
        opened.append((page, api, asked))
        return page

    yield make
    for page, api, asked in opened:
        page.close()
        assert [url for url in asked if not url.startswith((f"{api.url}/", "data:"))] == [], "nothing asks another host"
    assert problems == []


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page in the folder that ``TWIN_TEST_PICTURES`` names."""
    if folder := os.environ.get("TWIN_TEST_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def looks_right_everywhere(page: Page, name: str) -> None:
    """Light and dark, on a desktop and a phone: axe finds nothing, and nothing sticks out at the side."""
    for size, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            page.set_viewport_size(viewport)  # pyright: ignore[reportArgumentType]
            page.emulate_media(color_scheme=scheme)  # pyright: ignore[reportArgumentType]
            picture(page, f"{name}-{size}-{scheme}")
            found = Axe().run(page)
            told = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found.response["violations"]]
            assert told == [], f"{size}, {scheme}"
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{size}, {scheme}"
    page.set_viewport_size(DESKTOP)  # pyright: ignore[reportArgumentType]
    page.emulate_media(color_scheme="light")
