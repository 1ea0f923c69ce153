"""Chats that go on, come back after a reload, and answers that are shared."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from twin_assets_tests.support.site import QUESTION, SITE, Api, ask
from twin_assets_tests.support.tiny_models import BASE
from twin_assets_tests.twin_serving.api.page.conftest import looks_right_everywhere, picture

pytestmark = pytest.mark.browser

LEANING = "And where does it stand?"


@pytest.fixture
def chat(api: Api, open_page: Callable[[Api, str], Page]) -> Page:
    page = open_page(api, "/")
    expect(page.locator("#state")).to_contain_text("Ready", timeout=20_000)
    return page


def asks(page: Page, question: str = QUESTION, *, mode: str = "quote") -> Locator:
    """The answer to a question, once all of it is there."""
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_enabled(timeout=20_000)
    page.locator("#mode").select_option(mode)
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    answer = page.locator(".answer").last
    expect(answer.locator("footer")).to_be_visible(timeout=20_000)
    return answer


def kept(page: Page) -> list[dict[str, str]]:
    """What the browser keeps."""
    return json.loads(page.evaluate("localStorage.getItem('chats')") or "[]")


def earlier(page: Page) -> Locator:
    """The list of earlier chats, opened."""
    page.get_by_role("button", name="Chats", exact=True).click()
    return page.get_by_role("dialog", name="Earlier chats")


def test_a_question_that_leans_on_the_one_before_is_understood_until_a_new_chat_begins(chat: Page) -> None:
    first = asks(chat)
    expect(first.locator(".sought")).to_be_hidden()
    second = asks(chat, LEANING)
    expect(second.locator(".sought")).to_have_text(f"Searched for: {QUESTION} {LEANING}")
    expect(second.locator(".card").first.get_by_role("link")).to_have_attribute("href", f"{SITE}/tides")
    chat.get_by_role("button", name="New chat").click()
    expect(chat.locator(".turn")).to_have_count(0)
    expect(asks(chat, LEANING).locator(".sought")).to_be_hidden()


def test_a_chat_is_there_again_after_a_reload_and_goes_on(chat: Page) -> None:
    before = asks(chat)
    text = before.locator(".text").inner_text()
    chat.reload()
    answer = chat.locator(".answer").first
    expect(chat.locator(".asked")).to_have_text(QUESTION, timeout=20_000)
    assert answer.locator(".text").inner_text() == text
    expect(answer.locator(".badge")).to_contain_text("Quoted")
    expect(answer.locator(".support")).to_have_text("100% supported")
    expect(answer).to_have_attribute("aria-busy", "false")
    answer.get_by_role("button", name="Source 1: Reading the gauge").first.click()
    expect(chat.get_by_role("dialog", name="Reading the gauge").locator("mark").first).to_contain_text(BASE)
    chat.keyboard.press("Escape")
    expect(asks(chat, LEANING).locator(".sought")).to_contain_text(QUESTION)
    expect(chat.locator(".turn")).to_have_count(2)


def test_earlier_chats_are_listed_by_their_first_question_and_opened_by_keyboard(chat: Page) -> None:
    assert kept(chat) == []
    asks(chat)
    asks(chat, LEANING)
    chat.get_by_role("button", name="New chat").click()
    asks(chat, "What is the capital of Mongolia?", mode="auto")
    assert [sorted(each) for each in kept(chat)] == [["id", "question"]] * 2, "nothing else is kept"
    listed = earlier(chat)
    entries = listed.locator("li .open")
    expect(entries).to_have_text(["What is the capital of Mongolia?", QUESTION])
    expect(entries.first).to_have_attribute("aria-current", "true")
    entries.last.focus()
    chat.keyboard.press("Enter")
    expect(listed).to_be_hidden()
    expect(chat.locator(".asked")).to_have_text([QUESTION, LEANING])
    expect(chat.locator("#note")).to_contain_text("Reopened, with 2 answers")
    expect(chat.get_by_label("Your question")).to_be_focused()
    expect(asks(chat, "And why?").locator(".sought")).to_contain_text("Skarvik")
    chat.reload()
    expect(chat.locator(".asked")).to_have_text([QUESTION, LEANING, "And why?"], timeout=20_000)
    listed = earlier(chat)
    expect(listed.locator("li .open")).to_have_text([QUESTION, "What is the capital of Mongolia?"])
    looks_right_everywhere(chat, "chats")


def test_a_chat_is_deleted_on_the_server_too_and_asked_about_first(chat: Page, api: Api) -> None:
    asks(chat)
    [entry] = kept(chat)
    listed = earlier(chat)
    listed.get_by_role("button", name=f"Delete: {QUESTION}").click()
    assert kept(chat) == [entry]
    listed.get_by_role("button", name=f"Really delete? {QUESTION}").click()
    expect(listed.get_by_role("status")).to_have_text("Deleted, on the server too.")
    expect(listed.get_by_text("None yet.")).to_be_visible()
    expect(listed.get_by_role("button", name="Close")).to_be_focused()
    assert kept(chat) == []
    expect(chat.locator(".turn")).to_have_count(0)
    assert httpx.get(f"{api.url}/conversations/{entry['id']}").status_code == 404


def test_what_the_server_keeps_no_longer_is_said_and_leaves_the_list(chat: Page, api: Api, problems: list[str]) -> None:
    asks(chat)
    [entry] = kept(chat)
    httpx.delete(f"{api.url}/conversations/{entry['id']}").raise_for_status()
    alone = asks(chat, LEANING)
    expect(chat.locator("#note")).to_contain_text("no longer kept")
    expect(alone.locator(".sought")).to_be_hidden()
    [fresh] = kept(chat)
    assert (fresh["question"], fresh["id"] != entry["id"]) == (LEANING, True)
    httpx.delete(f"{api.url}/conversations/{fresh['id']}").raise_for_status()
    earlier(chat).get_by_role("button", name=LEANING, exact=True).click()
    expect(chat.locator("#note")).to_contain_text("taken off the list")
    assert kept(chat) == []
    assert [each for each in problems if "404" not in each] == []
    assert len(problems) == 2
    problems.clear()


def test_a_chat_is_with_one_author(chat: Page) -> None:
    asks(chat)
    chat.locator("#author").select_option("bo")
    expect(chat.locator(".turn")).to_have_count(0)
    expect(chat.locator("#note")).to_contain_text("A chat is with one author")
    earlier(chat).get_by_role("button", name=QUESTION, exact=True).click()
    expect(chat.locator(".asked")).to_have_text(QUESTION)
    expect(chat.locator("#author")).to_have_value("ada")


def test_a_shared_answer_is_read_and_leads_to_asking_further(
    api: Api, chat: Page, open_page: Callable[[Api, str], Page]
) -> None:
    asks(chat)
    answer = asks(chat, LEANING)
    chat.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answer.get_by_role("button", name="Copy link").click()
    expect(answer.locator(".thanks")).to_contain_text("The link to this answer is copied")
    link = chat.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{api.url}/?trace=")
    other = open_page(api, link.removeprefix(api.url))
    expect(other.locator(".asked")).to_have_text(LEANING, timeout=20_000)
    expect(other.locator(".sought")).to_contain_text(QUESTION)
    assert other.locator(".text").first.inner_text() == answer.locator(".text").inner_text()
    expect(other.locator(".badge")).to_contain_text("Quoted")
    expect(other.locator(".support")).to_have_text("100% supported")
    expect(other.locator(".card").first).to_contain_text(BASE)
    expect(other).to_have_title(f"{LEANING} · LLM Twin")
    for name in ("Good", "Not so", "New chat", "Ask"):
        expect(other.get_by_role("button", name=name, exact=True)).to_be_hidden()
    expect(other.get_by_label("Your question")).to_be_hidden()
    other.keyboard.press("Tab")
    expect(other.get_by_role("link", name="Skip to the answer")).to_be_focused()
    looks_right_everywhere(other, "shared")
    other.get_by_role("link", name="Ask further").click()
    expect(other).to_have_url(f"{api.url}/", timeout=20_000)
    expect(other.locator(".turn")).to_have_count(0)
    expect(other.locator("#author")).to_have_value("ada")
    assert kept(other) == [], "who reads an answer does not get the conversation"


def test_without_the_clipboard_the_link_stands_there_to_be_copied(chat: Page, api: Api) -> None:
    chat.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    answer = asks(chat)
    answer.get_by_role("button", name="Copy link").click()
    link = answer.locator(".thanks").get_by_role("link")
    expect(link).to_contain_text(f"{api.url}/?trace=")
    picture(chat, "link")


def test_a_link_to_an_answer_that_is_gone_says_so(
    api: Api, open_page: Callable[[Api, str], Page], problems: list[str]
) -> None:
    page = open_page(api, f"/?trace={'0' * 32}")
    expect(page.locator("#note")).to_contain_text("no longer kept", timeout=20_000)
    expect(page.get_by_role("link", name="Ask further")).to_be_visible()
    [problem] = problems
    assert "404" in problem
    problems.clear()


def test_a_shared_answer_is_never_markup(api: Api, open_page: Callable[[Api, str], Page]) -> None:
    with api.client() as client:
        trace = ask(client, query="<img src=x onerror=alert(1)> gauge at Skarvik?", mode="quote")["trace_id"]
    page = open_page(api, f"/?trace={trace}")
    expect(page.locator(".asked")).to_contain_text("<img src=x", timeout=20_000)
    expect(page.locator(".turn img")).to_have_count(0)
