"""The page of blind tests in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from twin_assets_tests.support.blind import OWN, add_pairs
from twin_assets_tests.support.site import Api, add_adapter, without_engine
from twin_assets_tests.twin_serving.api.page.conftest import PHONE, looks_right_everywhere
from twin_resources.config.settings import Settings
from twin_resources.database.schema import blind_test
from twin_resources.storage.releases import Releases

pytestmark = pytest.mark.browser

PATH = "/blind-test"


@pytest.fixture(scope="module")
def site(
    new_settings: Callable[..., Settings],
    seed: Callable[[Settings], sa.Engine],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Api]:
    """An application without an engine, with a version that speaks and a candidate."""
    settings = new_settings()
    database = seed(settings)
    weights = tmp_path_factory.mktemp("weights")
    for version in ("ada-old", "ada-new"):
        (weights / "adapter.txt").write_text(version)
        add_adapter(settings, database, version, weights)
        add_pairs(database, version)
    Releases(database).approve("ada-old", by="Ada")
    Releases(database).propose("ada", "ada-new")
    with without_engine(settings, database, "/releases") as api:
        yield api


@pytest.fixture
def page(site: Api, open_page: Callable[[Api, str], Page]) -> Page:
    with site.database.begin() as session:
        session.execute(sa.delete(blind_test))
    opened = open_page(site, PATH)
    expect(opened.locator("#pair")).to_be_visible(timeout=20_000)
    return opened


def own_side(page: Page) -> str:
    return "a" if OWN in (page.locator("#text-a").text_content() or "") else "b"


def test_a_reader_tells_texts_apart_by_keyboard_and_is_shown_which_was_which(page: Page) -> None:
    expect(page.locator("#version")).to_have_value("ada-new")
    expect(page.locator("#version option")).to_have_text(["ada-new (candidate)", "ada-old (speaks now)"])
    expect(page.locator("#result")).to_have_text("Nobody answered on ada-new yet.")
    expect(page.locator("#progress-text")).to_have_text("You are done with 0 of 4 pairs of this version.")
    looks_right_everywhere(page, "blind-test")
    own = own_side(page)
    page.keyboard.press(own)
    expect(page.locator("#reveal")).to_have_text(f"Yes: {own.upper()} is the author.")
    expect(page.get_by_role("article", name=f"Text {own.upper()} the author’s own")).to_contain_text(OWN)
    other = {"a": "b", "b": "a"}[own]
    expect(page.locator(f"#whose-{other}")).to_have_text("written by ada-new")
    expect(page.get_by_role("button", name="is the author")).to_have_count(0)
    expect(page.locator("#result")).to_contain_text("1 of 1 answer found the author: 100%")
    expect(page.get_by_role("button", name="Next pair")).to_be_focused()
    looks_right_everywhere(page, "blind-test-told")
    page.keyboard.press("Enter")
    expect(page.locator("#question")).to_be_focused()
    expect(page.locator("#reveal")).to_have_text("")
    expect(page.locator("[data-own]")).to_have_count(0)
    wrong = {"a": "2", "b": "1"}[own_side(page)]
    page.keyboard.press(wrong)
    expect(page.locator("#reveal")).to_contain_text("you took the twin for them")
    expect(page.locator("#result")).to_contain_text("1 of 2 answers found the author: 50%")
    expect(page.get_by_role("img", name="Share of answers that found the author")).to_be_visible()
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="Table of answers").get_by_role("row")).to_have_count(3)
    expect(page.locator("#progress-text")).to_have_text("You are done with 2 of 4 pairs of this version.")


def test_every_pair_comes_once_and_after_a_reload_what_was_not_answered(page: Page) -> None:
    before = page.locator("#instruction").text_content(), page.locator("#text-a").text_content()
    page.reload()
    expect(page.locator("#pair")).to_be_visible(timeout=20_000)
    assert (page.locator("#instruction").text_content(), page.locator("#text-a").text_content()) == before
    seen = []
    for number in range(4):
        expect(page.get_by_role("button", name="B is the author")).to_be_enabled()
        expect(page.locator("#progress-text")).to_contain_text(f"done with {number} of")
        seen.append(page.locator("#instruction").text_content())
        page.get_by_role("button", name="B is the author").click()
        page.get_by_role("button", name="Next pair").click()
    assert len(set(seen)) == 4
    expect(page.locator("#nothing")).to_contain_text("You were shown every text of the author")
    expect(page.locator("#pair")).to_be_hidden()
    looks_right_everywhere(page, "blind-test-done")
    page.locator("#version").select_option("ada-old")
    expect(page.locator("#result")).to_have_text("Nobody answered on ada-old yet.")
    expect(page.locator("#nothing")).to_be_visible()


def test_on_a_phone_one_text_stands_below_the_other(page: Page) -> None:
    def tops() -> list[float]:
        return [page.locator(f"#side-{side}").bounding_box()["y"] for side in "ab"]  # pyright: ignore[reportOptionalSubscript]

    above, beside = tops()
    assert above == beside
    page.set_viewport_size(PHONE)  # pyright: ignore[reportArgumentType]
    above, below = tops()
    assert above < below


def test_the_page_of_releases_shows_the_figure_and_leads_here(
    page: Page, site: Api, open_page: Callable[[Api, str], Page]
) -> None:
    page.locator("#version").select_option("ada-old")
    expect(page.locator("#result")).to_contain_text("ada-old")
    expect(page.locator("#choose-a")).to_be_enabled()
    page.keyboard.press(own_side(page))
    expect(page.locator("#reveal")).to_contain_text("Yes")
    releases = open_page(site, "/releases")
    releases.get_by_role("button", name="ada-old").first.click()
    body = releases.locator("#report-body")
    expect(body).to_contain_text("Beside it, 1 of 1 answer found the author: 100%")
    expect(body.get_by_role("img", name="Share of answers that found the author")).to_be_visible()
    looks_right_everywhere(releases, "releases-blind-test")
    body.get_by_role("link", name="Take the blind test on ada-old").click()
    expect(releases.locator("#version")).to_have_value("ada-old")
    expect(releases.locator("#progress-text")).to_contain_text("of 4 pairs")


def test_an_author_without_versions_is_told_so(page: Page) -> None:
    page.locator("#author").select_option("bo")
    expect(page.locator("#nothing")).to_contain_text("No version was evaluated yet")
    expect(page.locator("#result-part")).to_be_hidden()


def test_a_choice_that_cannot_be_kept_is_told_and_may_be_made_again(page: Page, problems: list[str]) -> None:
    page.route("**/blind-tests", lambda route: route.abort() if route.request.method == "POST" else route.fallback())
    page.get_by_role("button", name="A is the author").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(page.locator("#whose-a")).to_have_text("")
    page.unroute("**/blind-tests")
    page.get_by_role("button", name="A is the author").click()
    expect(page.locator("#reveal")).to_contain_text("is the author")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert len(problems) == 1
    assert "ERR_FAILED" in problems.pop()
