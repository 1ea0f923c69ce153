"""The way from page to page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from twin_assets_tests.support.site import Api
from twin_assets_tests.twin_serving.api.page.conftest import looks_right_everywhere
from twin_serving.api.pages import PAGES

pytestmark = pytest.mark.browser


def test_every_page_leads_to_every_other(api: Api, open_page: Callable[[Api, str], Page]) -> None:
    page = open_page(api, "/")
    paths = ["/", "/sources", "/review", "/releases", "/experiments", "/blind-test", "/monitoring", "/score"]
    assert [each.path for each in PAGES] == paths
    for name, path in ((each.link, each.path) for each in PAGES):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        page.wait_for_url(f"{api.url}{path}")
        links = page.get_by_role("navigation", name="Pages").get_by_role("link")
        expect(links).to_have_text([each.link for each in PAGES])
        expect(page.locator("nav [aria-current=page]")).to_have_text(name)


@pytest.mark.parametrize("path", ["/", "/review", "/score"])
def test_the_other_pages_look_right_too(api: Api, open_page: Callable[[Api, str], Page], path: str) -> None:
    page = open_page(api, path)
    expect(page.locator("#author option").first).to_be_attached(timeout=20_000)
    looks_right_everywhere(page, path.strip("/") or "chat")


@pytest.mark.parametrize("width", [900, 1000, 1100, 1150, 1280])
def test_the_bar_of_the_chat_has_at_most_two_rows_and_keeps_its_controls_in_one(
    api: Api, open_page: Callable[[Api, str], Page], width: int
) -> None:
    page = open_page(api, "/")
    page.set_viewport_size({"width": width, "height": 800})
    expect(page.locator("#model option").first).to_be_attached(timeout=20_000)
    expect(page.get_by_text("Starting…")).to_be_hidden(timeout=20_000)
    controls = page.locator("#choices > *")
    middles = [box["y"] + box["height"] / 2 for each in controls.all() if (box := each.bounding_box())]
    assert max(middles) - min(middles) < 4, "no control stands alone in a row of its own"
    bar = page.locator(".bar").bounding_box()
    assert bar is not None
    assert bar["height"] < 105
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
