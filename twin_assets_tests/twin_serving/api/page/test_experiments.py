"""The page of trainings in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from twin_assets_tests.support.site import SITE, Api, without_engine
from twin_assets_tests.support.trainings import QUESTION, add_trainings
from twin_assets_tests.twin_serving.api.page.conftest import looks_right_everywhere
from twin_resources.config.settings import Settings
from twin_resources.text.identity import document_id

pytestmark = pytest.mark.browser


@pytest.fixture
def page(
    new_settings: Callable[..., Settings],
    seed: Callable[[Settings], sa.Engine],
    open_page: Callable[[Api, str], Page],
) -> Iterator[Page]:
    settings = new_settings()
    database = seed(settings)
    add_trainings(database, document_id("ada", f"{SITE}/tides"))
    with without_engine(settings, database, "/experiments?author=ada") as api:
        opened = open_page(api, "/experiments")
        expect(opened.locator("#trainings tr")).to_have_count(3, timeout=20_000)
        yield opened


def test_two_trainings_are_chosen_and_compared_by_keyboard(page: Page) -> None:
    wide = page.get_by_role("row", name="ada-wide")
    expect(wide).to_contain_text("2.760")
    expect(wide).to_contain_text("18.0%")
    expect(wide).to_contain_text("passed")
    expect(page.get_by_role("row", name="ada-old")).to_contain_text("not measured")
    compare = page.get_by_role("button", name="Compare")
    expect(compare).to_be_disabled()
    for version in ("ada-wide", "ada-narrow"):
        page.get_by_role("checkbox", name=version).focus()
        page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_have_text("2 chosen.")
    looks_right_everywhere(page, "experiments")
    compare.focus()
    page.keyboard.press("Enter")
    comparison = page.get_by_role("article", name="2 trainings side by side")
    expect(comparison).to_be_focused()
    differing = comparison.get_by_role("region", name="In what they differ")
    expect(differing.locator("tbody tr")).to_have_count(1)
    expect(differing.get_by_role("row", name="rank")).to_have_text("rank164")
    plots = comparison.get_by_role("img")
    expect(plots).to_have_count(2)
    expect(comparison.locator(".plot").first.locator("polyline")).to_have_count(2)
    expect(comparison).to_contain_text("held back: loss")
    expect(comparison).to_contain_text("it began to know its texts by heart")
    expect(comparison).to_contain_text("0.12 EUR")
    expect(comparison.locator(".asks")).to_have_text(QUESTION)
    expect(comparison.locator(".side section")).to_have_count(3)
    expect(comparison.locator(".side")).to_contain_text("Of rank 4, I say.")
    table = comparison.locator(".plot details").first
    table.locator("summary").click()
    expect(table.get_by_role("row", name="8")).to_have_text("82.1602.040")
    looks_right_everywhere(page, "experiments-comparison")


def test_one_of_which_nothing_is_known_is_compared_too(page: Page) -> None:
    for version in ("ada-old", "ada-wide"):
        page.get_by_role("checkbox", name=version).check()
    page.get_by_role("button", name="Compare").click()
    comparison = page.get_by_role("article", name="2 trainings side by side")
    expect(comparison.get_by_role("row", name="rank")).to_contain_text("not set")
    expect(comparison.locator(".plot").first.locator("polyline")).to_have_count(2)
