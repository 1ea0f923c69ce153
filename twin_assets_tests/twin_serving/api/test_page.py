from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from twin_assets_tests.support.site import QUESTION, SITE, Api
from twin_assets_tests.support.tiny_models import BASE
from twin_resources.database.schema import feedback, interaction

pytestmark = pytest.mark.browser


@pytest.fixture
def page(api: Api, browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1100, "height": 850})
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(api.url)
    yield opened
    opened.close()
    assert problems == []


def picture(page: Page, name: str) -> None:
    """Keep a picture of the page in the folder that ``TWIN_TEST_PICTURES`` names."""
    if folder := os.environ.get("TWIN_TEST_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def ask(page: Page, question: str = QUESTION, *, mode: str = "write") -> None:
    expect(page.locator("#state")).to_contain_text("Ready", timeout=20_000)
    page.locator("#mode").select_option(mode)
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_a_question_is_answered_with_a_link_and_rated(page: Page, api: Api) -> None:
    picture(page, "empty")
    ask(page)
    answer = page.locator(".answer").last
    expect(answer.locator(".text")).to_contain_text(BASE.removesuffix("."), timeout=20_000)
    marker = answer.locator("a.marker")
    expect(marker).to_have_attribute("href", f"{SITE}/tides")
    expect(marker).to_have_attribute("target", "_blank")
    expect(marker).to_have_attribute("rel", "noopener noreferrer")
    expect(answer.locator(".card")).to_contain_text(BASE)
    answer.get_by_role("button", name="Not so").click()
    answer.get_by_label("What would the author have said?").fill("Every ten minutes.")
    picture(page, "answer")
    answer.get_by_role("button", name="Send").click()
    expect(answer.locator(".thanks")).to_contain_text("Thank you")
    with api.database.connect() as session:
        rows = session.execute(
            sa.select(feedback.c.rating, feedback.c.correction)
            .join(interaction, interaction.c.id == feedback.c.trace_id)
            .order_by(feedback.c.id.desc())
        )
        assert tuple(rows.first() or ()) == ("down", "Every ten minutes.")


def test_an_answer_is_followed_back_to_what_the_adapter_learned(page: Page) -> None:
    expect(page.locator("#model option")).not_to_have_count(0, timeout=20_000)
    page.get_by_label("Model").select_option("ada-first")
    ask(page)
    answer = page.locator(".answer").last
    answer.get_by_role("button", name="Where this answer comes from").click(timeout=20_000)
    panel = page.locator("#lineage")
    expect(panel).to_contain_text("ada-first")
    expect(panel).to_contain_text("instruct")
    expect(panel.get_by_role("link", name="ada.example.com/tides").last).to_have_attribute("href", f"{SITE}/tides")
    picture(page, "lineage")
    page.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()


def test_what_a_model_writes_is_never_markup(page: Page) -> None:
    expect(page.locator("#state")).to_contain_text("Ready", timeout=20_000)
    done = (
        'event: token\ndata: {"text": "<img src=x onerror=alert(1)>"}\n\n'
        'event: done\ndata: {"answer": "<b>bold</b> **strong** `code` [1] [2]\\n\\n- one\\n- two", "citations": '
        '[{"marker": 1, "title": "<i>t</i>", "url": "javascript:alert(1)", "quote": "<u>q</u>", "platform": "x"}], '
        '"model": {"base": "b", "adapter": null}, "usage": {"completion_tokens": 1}, "timings_ms": {"total": 1}, '
        '"trace_id": "0", "finish_reason": "stop", "mode": "write", "because": "", "abstained": false, '
        '"support": null, '
        '"sentences": [], "nearest": []}\n\n'
    )
    page.route("**/ask", lambda route: route.fulfill(content_type="text/event-stream", body=done))
    ask(page)
    text = page.locator(".answer .text")
    expect(text).to_contain_text("<b>bold</b> strong code")
    expect(text.locator("strong, code, li")).to_have_count(4)
    expect(page.locator(".answer img, .answer b, .answer i, .answer u")).to_have_count(0)
    expect(page.locator(".answer a")).to_have_count(0)
    expect(page.locator(".answer .card")).to_contain_text("<u>q</u>")


def test_an_error_is_readable(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    expect(page.locator("#model option")).not_to_have_count(0, timeout=20_000)
    ask(page)
    expect(page.locator(".answer footer")).to_be_visible(timeout=20_000)
    page.route(
        "**/ask",
        lambda route: route.fulfill(
            content_type="text/event-stream", body='event: error\ndata: {"detail": "the model failed: no memory"}\n\n'
        ),
    )
    ask(page, "And now?")
    expect(page.get_by_role("alert").last).to_have_text("the model failed: no memory")
    picture(page, "narrow")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
