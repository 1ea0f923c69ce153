"""Samples are gone through by keyboard, in a real browser, and what was decided is in the next version."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from twin_assets.dataset import files
from twin_assets_tests.support import essays
from twin_assets_tests.support.site import embedder_of, listening, wait_for
from twin_assets_tests.support.world import World
from twin_resources.config.settings import Settings
from twin_resources.runtime.resources import ASKED, Twin
from twin_resources.storage.keys import ApiKeys
from twin_serving.api.app import create_app

MARKUP = "`<img src=x onerror=window.broken=1>` and `<script>window.broken=1</script>` stood in the log of the ferry."


@dataclass
class Desk:
    """An author of essays with a dataset, and the API."""

    world: World
    url: str

    def newest(self) -> dict[str, list[str]]:
        """Answers of the newest version by the id of their sample, with who edited them."""
        found = self.world.twin.datasets.newest("ada", "instruct")
        assert found
        folder = self.world.twin.artifacts.folder(found.artifact)
        samples = [each for split in files.SPLITS for each in files.read_samples(folder / f"{split}.parquet")]
        return {each.id: [each.answer, each.reviewed_by] for each in samples}


@pytest.fixture(scope="module")
def desk(new_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    settings = new_settings()
    assert settings.database_url
    folder = tmp_path_factory.mktemp("review")
    author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}
    (folder / "twin.yaml").write_text(yaml.safe_dump({"authors": [author]}))
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
        patch.setenv("TWIN_HOME", str(folder / "home"))
        patch.setenv("TWIN_DATASETS__PARAPHRASES", "0")  # each answer stands in the queue once
        patch.setattr("twin_assets.dataset.assets._embedding", lambda _: None)
        twin = Twin(config=str(folder / "twin.yaml"))
        twin.record_author("ada")
        instance.add_dynamic_partitions("author", ["ada"])
        texts = {number: essays.essay(number) for number in range(24)}
        texts[99] = f"{essays.essay(99)}\n\n## Why the log holds signs\n\n{MARKUP} {essays.essay(98)[60:400]}"
        world = World(twin, instance, texts)
        world.make()
        with listening(create_app(twin.settings, None, embed=embedder_of)) as url:
            wait_for(lambda: httpx.get(f"{url}/review/samples").status_code == 200, 60)
            yield Desk(world, url)


@pytest.fixture
def page(desk: Desk, browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1200, "height": 900}, locale="en-GB")
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(f"{desk.url}/review")
    expect(opened.locator("#sample")).to_be_visible()
    yield opened
    opened.close()
    assert problems == []


def choose(page: Page, name: str, value: str) -> None:
    """Choose a filter, and wait for the samples that it lets through."""
    page.locator(f"#{name}").select_option(value)
    expect(page.locator("#sample")).to_be_visible()


def picture(page: Page, name: str) -> None:
    """Keep a picture of the page in the folder that ``TWIN_TEST_PICTURES`` names."""
    if folder := os.environ.get("TWIN_TEST_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


@pytest.mark.browser
def test_samples_are_accepted_rejected_and_edited_by_keyboard_and_the_next_version_holds_it(
    page: Page, desk: Desk
) -> None:
    before = desk.newest()
    choose(page, "kind", "section")
    choose(page, "split", "train")
    place, answer, progress = page.locator("#place"), page.locator("#answer"), page.locator("#progress-text")
    expect(place).to_have_text(re.compile(r"^1 of \d+ · train · section · articles$"))
    expect(page.locator("#source")).to_contain_text((answer.text_content() or "")[:60])
    first = answer.text_content() or ""
    page.keyboard.press("a")
    expect(place).to_have_text(re.compile(r"^2 of"))
    expect(progress).to_have_text(re.compile(r"^1 of \d+ samples reviewed: 1 accepted, 0 rejected, 0 edited$"))
    second = answer.text_content() or ""
    assert second != first
    page.keyboard.press("r")
    expect(place).to_have_text(re.compile(r"^3 of"))
    expect(progress).to_contain_text("1 rejected")
    expect(page.locator("#waiting")).to_contain_text("1 decision will be in the next dataset version")
    page.keyboard.press("k")
    expect(page.locator("#verdict")).to_contain_text("rejected by local")
    page.keyboard.press("j")
    third = answer.text_content() or ""
    page.keyboard.press("e")
    expect(page.locator("#edited")).to_be_focused()
    expect(page.locator("#edited")).to_have_value(third)
    page.locator("#edited").fill(
        "<img src=x onerror=window.broken=1> The moon is cheese for 4711 years, says everybody."
    )
    page.keyboard.press("Control+Enter")
    expect(page.locator("#change-title")).to_contain_text("will not be taken")
    expect(page.locator("#changed")).to_contain_text("<img src=x onerror=window.broken=1>")
    assert page.locator("#reasons li").count() >= 1
    picture(page, "review-refused")
    shorter = third[: third.index(". ") + 1]
    page.keyboard.press("e")
    page.locator("#edited").fill("never kept")
    page.keyboard.press("Escape")
    expect(page.locator("#edit")).to_be_hidden()
    page.keyboard.press("e")
    page.locator("#edited").fill(shorter)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#change-title")).to_contain_text("In the next version")
    expect(page.locator("#changed")).to_have_text(shorter)
    expect(progress).to_have_text(re.compile(r"^3 of \d+ samples reviewed: 1 accepted, 1 rejected, 1 edited$"))
    picture(page, "review")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.get_by_role("button", name="Read the document").click()
    expect(page.get_by_role("dialog").locator("mark").first).to_be_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("window.broken") is None

    with ThreadPoolExecutor(1) as elsewhere:  # the event loop of Playwright has this thread
        elsewhere.submit(desk.world.make, "twin run", **{ASKED: "true"}).result()
    after = desk.newest()
    assert [shorter, "local"] in after.values()
    assert third not in {text for text, _ in after.values()}
    assert second not in {text for text, _ in after.values()}
    gone = {text for key, (text, _) in before.items() if key not in after}
    assert {second, third} <= gone
    version = desk.world.twin.datasets.newest("ada", "instruct")
    assert version
    assert version.manifest["reviewed_by"] == {"local": 1}
    assert version.manifest["dropped"]["rejected in review by local"] == 1
    assert all(version.manifest["checks"][name] for name in ("grounded", "rightly_cited", "no_leak"))

    page.reload()
    choose(page, "state", "edited")
    expect(page.locator("#answer")).to_have_text(shorter)
    expect(page.locator("#verdict")).to_contain_text("edited by local")
    expect(page.locator("#waiting")).to_be_hidden()
    page.keyboard.press("r")
    expect(page.locator("#verdict")).to_contain_text("rejected by local")
    expect(page.locator("#waiting")).to_contain_text("1 decision")
    page.keyboard.press("a")
    expect(page.locator("#verdict")).to_contain_text("edited by local")
    expect(page.locator("#waiting")).to_be_hidden()
    page.keyboard.press("u")
    expect(page.locator("#verdict")).to_have_text("")
    expect(page.locator("#waiting")).to_contain_text("1 decision")
    page.locator("#state").select_option("rejected")
    expect(page.locator("#nothing")).to_contain_text("No sample is as these filters want it")


def listed(desk: Desk) -> list[dict[str, Any]]:
    """All samples, page by page."""
    with httpx.Client(base_url=desk.url) as client:
        every: list[dict[str, Any]] = []
        while more := client.get("/review/samples", params={"after": every[-1]["id"] if every else ""}).json():
            every += more["samples"]
            if not more["more"]:
                break
    assert len({each["id"] for each in every}) == len(every) == more["progress"]["total"], "pages repeat nothing"
    return every


def go_to(page: Page, place: int) -> None:
    """The sample at a place, by keyboard."""
    for step in range(place):
        page.keyboard.press("j")
        expect(page.locator("#place")).to_contain_text(f"{step + 2} of")


@pytest.mark.browser
def test_what_a_sample_goes_on_from_is_shown_above_it(page: Page, desk: Desk) -> None:
    every = listed(desk)
    place = next(index for index, each in enumerate(every) if each["history"])
    go_to(page, place)
    turns = every[place]["history"]
    expect(page.locator("#history summary")).to_contain_text(f"{len(turns)} earlier turn")
    shown = [each for turn in turns for each in (turn["instruction"], turn["answer"])]
    expect(page.locator("#history .words")).to_have_text(shown)
    expect(page.locator("#instruction")).to_have_text(every[place]["instruction"])
    picture(page, "review-conversation")
    assert every[place - 1]["history"] == []
    page.keyboard.press("k")
    expect(page.locator("#history")).to_be_empty()


@pytest.mark.browser
def test_what_a_sample_says_is_never_markup(page: Page, desk: Desk) -> None:
    every = listed(desk)
    go_to(page, next(index for index, each in enumerate(every) if "<img src=x" in each["answer"]))
    expect(page.locator("#answer")).to_contain_text("<img src=x onerror=window.broken=1>")
    expect(page.locator("main img, main script")).to_have_count(0)
    assert page.evaluate("window.broken") is None


def test_who_may_not_write_for_the_author_may_not_review(desk: Desk) -> None:
    keys = ApiKeys(desk.world.twin.engine)
    _, reader = keys.create("a reader", "reader", ["ada"])
    _, writer = keys.create("Cy's laptop", "author", ["ada"])
    _, stranger = keys.create("another author", "author", ["bo"])
    with listening(create_app(desk.world.twin.settings, None, embed=embedder_of)) as url:

        def call(method: str, path: str, key: str | None = None, **more: object) -> httpx.Response:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            return httpx.request(method, f"{url}{path}", headers=headers, json=more or None)

        wait_for(lambda: call("GET", "/review/samples").status_code == 401, 60)
        assert call("GET", "/review").status_code == 200, "the page itself holds nothing"
        assert call("GET", "/review/samples", reader).status_code == 403
        assert call("GET", "/review/samples?author=ada", stranger).status_code == 404
        sample = call("GET", "/review/samples", writer).json()["samples"][0]
        path = f"/review/{sample['id']}"
        assert call("POST", path, reader, verdict="rejected").status_code == 403
        assert call("POST", path, stranger, verdict="rejected", author="ada").status_code == 404
        assert call("POST", "/review/none", writer, verdict="rejected").status_code == 404
        assert call("POST", path, writer, verdict="edited").status_code == 422
        assert call("POST", path, writer, verdict="edited", answer=" \n").status_code == 422
        done = call("POST", path, writer, verdict="rejected").json()
        assert (done["sample"]["state"], done["sample"]["review"]["by"]) == ("rejected", "Cy's laptop")
        assert desk.world.twin.reviews.of("ada")[sample["id"]].by == "Cy's laptop"
        done = call("POST", path, writer, verdict="unreviewed").json()
        assert (done["sample"]["state"], done["sample"]["review"]) == ("unreviewed", None)
