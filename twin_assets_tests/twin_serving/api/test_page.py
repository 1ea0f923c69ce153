from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, Route, expect

from twin_assets_tests.support.site import QUESTION, SITE, Api
from twin_assets_tests.support.tiny_models import BASE, SECOND
from twin_resources.database.schema import feedback, interaction
from twin_resources.text.identity import document_id

pytestmark = pytest.mark.browser


@pytest.fixture
def problems() -> list[str]:
    """What the browser complains of; a test that brings it about clears it."""
    return []


@pytest.fixture
def page(api: Api, browser: Browser, problems: list[str]) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1100, "height": 850}, locale="en-GB")
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(api.url)
    yield opened
    opened.close()
    assert problems == []
    assert [url for url in asked if not url.startswith((f"{api.url}/", "data:"))] == [], "nothing asks another host"


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
    original = answer.locator(".card").get_by_role("link")
    expect(original).to_have_attribute("href", f"{SITE}/tides")
    expect(original).to_have_attribute("target", "_blank")
    expect(original).to_have_attribute("rel", "noopener noreferrer")
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


def test_nothing_is_asked_before_the_authors_are_known(page: Page) -> None:
    expect(page.locator("#state")).to_contain_text("Ready", timeout=20_000)
    held: list[Route] = []
    page.route("**/authors", lambda route: held.append(route))
    with page.expect_request("**/authors"):
        page.reload()
    expect(page.locator("#state")).not_to_contain_text("Ready")
    expect(page.get_by_role("button", name="Ask")).to_be_disabled()
    held[-1].continue_()
    expect(page.locator("#state")).to_contain_text("Ready", timeout=20_000)
    expect(page.get_by_role("button", name="Ask")).to_be_enabled()


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
        '[{"marker": 1, "document_id": "d", "title": "<i>t</i>", '
        '"url": "javascript:alert(1)", "quote": "<u>q</u>", "platform": "x"}], '
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


def test_a_marker_opens_the_document_with_the_sentence_marked(page: Page) -> None:
    ask(page, mode="quote")
    answer = page.locator(".answer").last
    marker = answer.get_by_role("button", name="Source 1: Reading the gauge").first
    expect(marker).to_be_visible(timeout=20_000)
    marker.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="Reading the gauge")
    expect(panel.locator("mark").first).to_contain_text(BASE)
    expect(panel.locator("mark").first).to_be_focused()
    expect(panel.locator("mark").first).to_be_in_viewport()
    expect(panel).to_contain_text("medium")
    expect(panel).to_contain_text("1 March 2026")
    expect(panel.get_by_role("status")).to_contain_text("What the answer rests on is marked")
    expect(panel.get_by_role("link", name="Open the original")).to_have_attribute("href", f"{SITE}/tides")
    picture(page, "document")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(marker).to_be_focused()
    answer.locator(".card").first.click()
    expect(panel.locator("mark").first).to_contain_text(BASE)
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()


def test_what_an_answer_is_worth_is_seen_at_a_glance(page: Page) -> None:
    ask(page, mode="quote")
    answer = page.locator(".answer").last
    badge = answer.locator(".badge")
    expect(badge).to_contain_text("Quoted", timeout=20_000)
    expect(badge).to_have_attribute("title", "quote was asked for")
    expect(badge).to_contain_text("because: quote was asked for")
    expect(answer.locator(".support")).to_have_text("100% supported")
    expect(answer.locator(".unsupported")).to_have_count(0)
    expect(answer.locator(".because")).to_be_hidden()
    badge.focus()
    page.keyboard.press("Enter")
    expect(answer.locator(".because")).to_be_visible()
    answer.get_by_role("button", name="Where this answer comes from").click()
    expect(page.locator("#lineage")).to_contain_text("Passages that are quoted")
    expect(page.locator("#lineage")).not_to_contain_text("the base answered")


def test_silence_names_what_comes_near_and_opens_it(page: Page) -> None:
    ask(page, "What is the capital of Mongolia?", mode="auto")
    answer = page.locator(".answer").last
    expect(answer.locator(".badge")).to_contain_text("Silent", timeout=20_000)
    expect(answer.locator(".badge")).to_have_attribute("title", re.compile("comes near it"))
    expect(answer.locator(".support")).to_have_count(0)
    near = answer.locator(".nearest").get_by_role("button").first
    title = near.inner_text()
    picture(page, "silent")
    near.click()
    panel = page.get_by_role("dialog", name=title)
    expect(panel.locator("#reader-text")).not_to_be_empty()
    expect(panel.locator("mark")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(near).to_be_focused()


def test_what_the_twin_writes_freely_is_told_apart(page: Page) -> None:
    expect(page.locator("#model option")).not_to_have_count(0, timeout=20_000)
    page.get_by_label("Model").select_option("ada-second")
    ask(page)
    answer = page.locator(".answer").last
    expect(answer.locator(".badge")).to_contain_text("Written by the twin", timeout=20_000)
    expect(answer.locator(".support")).to_have_text("0% supported")
    loose = answer.locator(".unsupported")
    expect(loose).to_have_text(f"{SECOND} (no passage supports this)")
    assert "dashed" in loose.evaluate(
        "node => getComputedStyle(node).textDecorationLine + getComputedStyle(node).textDecorationStyle"
    )
    expect(answer.locator(".loose")).to_contain_text("No passage supports 1 of 1 sentence (underlined")
    picture(page, "written")
    page.get_by_label("Model").select_option("base")
    ask(page)
    answer = page.locator(".answer").last
    expect(answer.locator(".support")).to_have_text("100% supported", timeout=20_000)
    expect(answer.locator(".unsupported")).to_have_count(0)
    expect(answer.locator(".loose")).to_be_hidden()


TEXT = """# Pumps

A pump **never** rests; it [waits](https://elsewhere.example.com/wait). The valve <b>opens</b> at noon.

- Grease it.
- Turn it.

```python
def turn(pump):
    return pump[1] * 2
```

| day | litres |
|---|---|
| one | 12 |

The valve <b>opens</b> at night."""


def told(page: Page, citation: dict[str, Any], document: dict[str, Any] | None, *, question: str = QUESTION) -> None:
    """An answer with this citation, and what reading its document gives; None where it is gone."""
    about = {
        "marker": 1,
        "chunk_id": "c",
        "document_id": "d",
        "title": "Pumps",
        "url": f"{SITE}/p",
        "platform": "medium",
    }
    done = {
        "answer": "It is said. [1]", "mode": "quote", "because": "", "abstained": False, "support": 1.0,
        "sentences": [{"text": "It is said.", "support": 1.0, "supported": True, "markers": [1]}], "nearest": [],
        "citations": [{**about, **citation}], "model": {"base": "b", "adapter": None}, "finish_reason": "stop",
        "usage": {"completion_tokens": 0}, "timings_ms": {"total": 1}, "trace_id": "0",
    }  # fmt: skip
    body = f"event: done\ndata: {json.dumps(done)}\n\n"
    page.unroute_all()
    page.route("**/ask", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    held = {**about, "category": "articles", "published_at": None, **(document or {})}
    page.route(
        "**/documents/*",
        lambda route: route.fulfill(json=held) if document else route.fulfill(status=404, json={"detail": "not there"}),
    )
    ask(page, question)
    page.locator(".answer").last.locator("button.marker").click()


def marked(page: Page) -> list[str]:
    """What is marked in the panel."""
    expect(page.locator("#reader-note")).not_to_have_text("Looking…")
    return [" ".join(each.split()) for each in page.locator("#reader mark").all_inner_texts()]


def test_each_run_of_a_quotation_is_marked_whatever_its_markup(page: Page) -> None:
    quote = (
        "it [waits](https://elsewhere.example.com/wait). … - Grease it.\n- Turn it. … ```python\ndef turn(pump):\n"
        "    return pump[1] * 2\n``` … | one | 12 | … The valve <b>opens</b> at night."
    )
    told(page, {"quote": quote}, {"text": TEXT})
    code = "def turn(pump): return pump[1] * 2"
    last = "The valve <b>opens</b> at night."
    assert marked(page) == ["it", "waits", "Grease it.", "Turn it.", code, "one | 12", last]
    expect(page.locator("#reader b")).to_have_count(0)
    expect(page.locator("#reader a[href='https://elsewhere.example.com/wait']")).to_have_count(1)


def test_words_that_do_not_stand_there_say_so(page: Page, problems: list[str]) -> None:
    told(page, {"quote": "A pump never sleeps; it waits."}, {"text": TEXT})
    assert " ".join(marked(page)).startswith("A pump never rests; it waits")
    expect(page.locator("#reader-note")).to_contain_text("not stand here letter for letter")
    page.keyboard.press("Escape")
    told(page, {"quote": "Herring is salted in October."}, {"text": TEXT}, question="And herring?")
    assert marked(page) == []
    expect(page.locator("#reader-note")).to_contain_text("do not stand in the document as it is now")
    page.keyboard.press("Escape")
    told(page, {"quote": "A pump never rests."}, None, question="And now?")
    expect(page.locator("#reader-note")).to_contain_text("This document is no longer there")
    expect(page.locator("#reader blockquote")).to_have_text("A pump never rests.")
    assert len(problems) == 1
    assert "404" in problems.pop()


def test_code_keeps_its_white_space(page: Page) -> None:
    code = "def one():\n    # *not* [a link](https://x.example.com)\n    return 1\n\n\ndef two():\n\treturn 2\n"
    told(page, {"quote": "def two():\n\treturn 2"}, {"text": code, "category": "code"})
    assert marked(page) == ["def two(): return 2"]
    assert page.locator("#reader pre").evaluate("node => node.textContent") == code


def test_the_panel_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    long = "\n\n".join(f"Paragraph {number} says nothing of the valve that opens." for number in range(60))
    told(page, {"quote": "The last valve opens at dawn."}, {"text": f"{long}\n\nThe last valve opens at dawn."})
    assert marked(page) == ["The last valve opens at dawn."]
    expect(page.locator("#reader mark")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Close")).to_be_in_viewport()
    picture(page, "document-narrow")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    box = page.locator("#reader").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_the_document_that_a_citation_names_is_the_one_that_opens(page: Page, api: Api) -> None:
    ask(page, mode="quote")
    with page.expect_request("**/documents/*") as asked:
        page.locator(".answer").last.locator("button.marker").first.click(timeout=20_000)
    assert asked.value.url == f"{api.url}/documents/{document_id('ada', f'{SITE}/tides')}?author=ada"
