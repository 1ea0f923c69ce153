"""The page of how a twin does, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from twin_assets_tests.support.site import Api, without_engine
from twin_assets_tests.support.traffic import write_traffic
from twin_assets_tests.twin_serving.api.page.conftest import looks_right_everywhere
from twin_resources.config.settings import Settings
from twin_resources.database.schema import interaction
from twin_resources.storage.alerts import Alerts
from twin_resources.storage.calls.interactions import Interactions, Outcome

pytestmark = pytest.mark.browser

MARKUP = "Why does <img src=x onerror=alert(1)> not load?"


@pytest.fixture(scope="module")
def site(new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine]) -> Iterator[Api]:
    """An application without an engine, and two weeks of what readers asked Ada's twin; nobody asked Bo's."""
    settings = new_settings()
    database = seed(settings)
    write_traffic(database, "ada", now=datetime.now(UTC))
    Interactions(database).record("markup", author="ada", call="ask", query=MARKUP, outcome=Outcome("quote", True))
    Alerts(database).observe("ratings", "ada", "bad", "4 of 10 ratings are thumbs down")
    with without_engine(settings, database, "/healthz/ready") as api:
        yield api


@pytest.fixture
def page(site: Api, open_page: Callable[[Api, str], Page]) -> Page:
    opened = open_page(site, "/monitoring")
    expect(opened.locator("#asked .tile")).to_have_count(6, timeout=20_000)
    return opened


def test_a_writer_reads_how_the_twin_does(page: Page, site: Api) -> None:
    with site.database.connect() as session:
        week = sa.func.date_trunc("day", sa.func.now(), "UTC") - sa.text("interval '6 days'")
        wanted = (interaction.c.author == "ada", interaction.c.at >= week, interaction.c.call != "search")
        asked = session.scalar(sa.select(sa.func.count()).where(*wanted))
    expect(page.locator("#asked .tile").first).to_have_text(f"{asked}questions")
    expect(page.locator("#by-day svg .hit")).to_have_count(7)
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="Table of days").get_by_role("row")).to_have_count(8)
    expect(page.locator("#gaps li").first).to_contain_text("solar")
    expect(page.locator("#gaps li").first).to_contain_text("Also: ")
    expect(page.locator("#gaps")).to_contain_text(MARKUP)
    expect(page.locator("#drift")).to_contain_text("other things than in the 7 days before")
    expect(page.locator("#drift")).to_contain_text("postgres")
    expect(page.locator("#speakers")).to_contain_text("Your own words, quoted")
    expect(page.locator("#latency")).to_contain_text("Written from passages")
    page.get_by_role("combobox", name="Time").select_option("30")
    expect(page.locator("#by-day svg .hit")).to_have_count(30)
    expect(page.locator("#drift")).to_contain_text("Too few questions to tell")


def test_it_looks_right_everywhere(page: Page) -> None:
    looks_right_everywhere(page, "monitoring")


def test_an_alert_is_acknowledged_from_the_keyboard(page: Page, site: Api) -> None:
    known = page.get_by_role("button", name="I know of it")
    expect(page.locator("#alerts li")).to_contain_text("Readers are not content")
    known.focus()
    page.keyboard.press("Enter")
    expect(known).to_have_count(0)
    expect(page.locator("#alerts li")).to_contain_text("local knows of it")
    expect(page.locator("#done")).to_contain_text("Noted")
    assert [each.acknowledged_by for each in Alerts(site.database).list()] == ["local"]


def test_where_nobody_asked_the_page_says_what_to_do(page: Page) -> None:
    page.get_by_role("combobox", name="Author").select_option("bo")
    expect(page.get_by_role("heading", name="Nobody asked anything")).to_be_visible()
    expect(page.locator("#well")).to_be_visible()
    expect(page.locator("#figures")).to_be_hidden()
    looks_right_everywhere(page, "monitoring-empty")
    page.get_by_role("link", name="Ask it something yourself").click()
    expect(page.get_by_label("Your question")).to_be_visible()
