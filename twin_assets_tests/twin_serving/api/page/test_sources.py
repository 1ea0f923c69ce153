"""The page of sources in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from twin_assets_tests.support.site import SITE, Api, add_adapter, without_engine
from twin_assets_tests.twin_serving.api.page.conftest import looks_right_everywhere
from twin_resources.config.settings import Settings
from twin_resources.database.schema import clean_document, document, source
from twin_resources.sources.base import Quarantined
from twin_resources.sources.opener import SourceOpener
from twin_resources.storage.releases import Releases
from twin_resources.storage.sources import Sources
from twin_resources.storage.warehouse import Warehouse
from twin_resources.text.identity import document_id

pytestmark = pytest.mark.browser

CONSENT = "These accounts are mine. 2026-11-21"
BUOYS = b"---\ncanonical_url: https://ada.example.com/buoys\n---\n# Buoys <b>and</b> lights\n\nPainted every spring.\n"


@pytest.fixture(scope="module")
def site(new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine]) -> Iterator[Api]:
    """An application without an engine: Ada's four documents, one repeated, one short, and a line in quarantine."""
    settings = new_settings(
        authors=[
            {"id": "ada", "name": "Ada Berg", "consent": CONSENT, "sources": [{"medium": "@ada"}]},
            {"id": "bo", "name": "Bo Lind", "consent": CONSENT},
        ]
    )
    database = seed(settings)
    with database.begin() as session:
        for name, values in (
            ("cargo", {"excluded": "near_duplicate", "duplicate_of": document_id("ada", f"{SITE}/tides")}),
            ("post", {"excluded": "too_short"}),
        ):
            there = clean_document.c.url == f"{SITE}/{name}"
            session.execute(sa.update(clean_document).where(there).values(values))
        found = session.scalars(sa.select(source.c.id)).one()
        read = {"read_at": datetime(2026, 3, 2, 6, tzinfo=UTC), "counts": {"new": 4, "quarantined": 1}}
        session.execute(sa.update(source).values(read))
        item = Quarantined("posts/broken.html", "it is not HTML", "download the export again, and import it")
        Sources(database).set_quarantine(session, "ada", found, [item])
    with without_engine(settings, database, "/sources") as api:
        yield api


@pytest.fixture
def page(site: Api, open_page: Callable[[Api, str], Page]) -> Page:
    opened = open_page(site, "/sources")
    expect(opened.locator(".tile").first).to_be_visible(timeout=20_000)
    return opened


def test_the_page_says_what_became_of_every_document(page: Page) -> None:
    tiles = page.locator(".tile")
    expect(tiles).to_have_text(["2searchable", "2left out, and why", "0waiting for the next run", "1could not be read"])
    rows = page.locator("#sources tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="@ada")).to_contain_text("not read yet")
    expect(rows.filter(has_text="the tests")).to_contain_text("4 new, 1 quarantined")
    expect(page.locator("#quarantine")).to_contain_text("What to do: download the export again, and import it")
    tiles.nth(1).click()
    expect(page.locator("#documents li")).to_have_count(2)
    repeated = page.locator("#documents li", has_text="Cargo")
    expect(repeated).to_contain_text("Left out: nearly the same text stands elsewhere too.")
    repeated.get_by_role("button", name="Show the one that is used").click()
    expect(page.get_by_role("dialog", name="Reading the gauge")).to_contain_text("north pier")
    page.keyboard.press("Escape")
    page.locator("#excluded").select_option("too_short")
    expect(page.locator("#documents li")).to_have_count(1)
    page.locator("#excluded").select_option("")
    page.locator("#state").select_option("")
    page.get_by_label("Title or address").fill("no such thing")
    expect(page.get_by_text("No document is as these filters want it.")).to_be_visible()
    page.get_by_label("Title or address").fill("GAUGE")
    expect(page.locator("#documents li")).to_have_count(1)


def test_files_are_dropped_read_and_listed(page: Page) -> None:
    lines = "\n".join(
        json.dumps({"url": f"{SITE}/n{number}", "title": f"Note {number}", "text": "Low tide."}) for number in range(60)
    )
    page.evaluate(
        """([markdown, lines]) => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([markdown], "buoys.md"));
            dropped.items.add(new File([lines + "\\n{"], "notes.jsonl"));
            dropped.items.add(new File(["\\u0000"], "x.bin"));
            const drop = new DragEvent("drop", { dataTransfer: dropped, bubbles: true });
            document.getElementById("drop").dispatchEvent(drop);
        }""",
        [BUOYS.decode(), lines],
    )
    imports = page.locator("#imports > li")
    expect(imports.filter(has_text="buoys.md")).to_contain_text("Markdown or text: 1 new", timeout=20_000)
    expect(imports.filter(has_text="notes.jsonl")).to_contain_text("60 new", timeout=20_000)
    expect(imports.filter(has_text="notes.jsonl")).to_contain_text("1 could not be read")
    expect(imports.filter(has_text="x.bin")).to_contain_text("the format was not recognised")
    expect(page.locator(".tile").nth(2)).to_have_text("61waiting for the next run")
    expect(page.locator("#waiting")).to_contain_text("twin run --author ada")
    expect(page.locator("#documents li")).to_have_count(50)
    page.get_by_role("button", name="More documents").click()
    expect(page.locator("#documents li")).to_have_count(65)
    expect(page.locator("#documents")).to_contain_text("Buoys <b>and</b> lights")
    expect(page.locator("#documents b")).to_have_count(0)
    expect(page.locator("#failure")).to_be_hidden()
    expect(page.get_by_role("button", name="More documents")).to_be_hidden()
    looks_right_everywhere(page, "sources")


def test_a_file_is_chosen_by_keyboard(page: Page) -> None:
    page.get_by_label("Choose files").focus()
    with page.expect_file_chooser() as chosen:
        page.keyboard.press("Space")
    chosen.value.set_files({"name": "buoys.md", "mimeType": "text/markdown", "buffer": BUOYS})
    expect(page.locator("#imports > li")).to_contain_text("Markdown or text:", timeout=20_000)


def test_another_author_has_their_own(page: Page) -> None:
    page.locator("#author").select_option("bo")
    expect(page.locator(".tile").first).to_have_text("0searchable")
    expect(page.locator("#no-sources")).to_be_visible()
    expect(page.locator("#quarantine-section")).to_be_hidden()
    page.reload()
    expect(page.locator("#author")).to_have_value("bo")


def _import(page: Page, name: str, *urls: str) -> None:
    lines = "\n".join(json.dumps({"url": url, "text": "The sluice opens at low tide."}) for url in urls)
    page.locator("#files").set_input_files({"name": name, "mimeType": "text/plain", "buffer": lines.encode()})
    expect(page.locator("#imports > li", has_text=name)).to_contain_text(f"{len(urls)} new", timeout=20_000)


def test_a_source_is_forgotten_by_keyboard_once_its_name_is_typed(page: Page, site: Api) -> None:
    _import(page, "sluice.jsonl", f"{SITE}/sluice-1", f"{SITE}/sluice-2")
    page.get_by_role("button", name="Drop JSON lines sluice.jsonl").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Drop JSON lines sluice.jsonl?")
    expect(dialog.locator("#dropping-goes")).to_contain_text("2 documents")
    expect(dialog.locator("#dropping-goes")).to_contain_text("No adapter in use was trained on it")
    expect(dialog.locator("#dropping-configured")).to_be_hidden()
    expect(dialog.get_by_label("Only read it no longer")).to_be_focused()
    page.keyboard.press("ArrowDown")
    forget = dialog.get_by_role("button", name="Forget it for good")
    expect(forget).to_be_disabled()
    page.keyboard.press("Tab")
    page.keyboard.type("sluice")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    assert page.locator("#documents li", has_text="sluice-1").count() == 1, "half a name drops nothing"
    page.keyboard.type(".jsonl")
    expect(forget).to_be_enabled()
    looks_right_everywhere(page, "sources-dropping")
    page.keyboard.press("Enter")
    done = page.locator("#done")
    expect(done).to_contain_text("JSON lines sluice.jsonl was forgotten: 2 documents", timeout=20_000)
    expect(done).to_contain_text("Back-ups")
    expect(done).to_be_focused()
    expect(dialog).to_be_hidden()
    expect(page.locator("#sources")).not_to_contain_text("sluice.jsonl")
    expect(page.locator("#documents")).not_to_contain_text("sluice")
    looks_right_everywhere(page, "sources-dropped")


def test_a_source_is_only_read_no_longer(page: Page, site: Api) -> None:
    _import(page, "weir.jsonl", f"{SITE}/weir")
    page.get_by_role("button", name="Drop JSON lines weir.jsonl").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Keep it").click()
    expect(page.locator("#documents")).to_contain_text("weir")
    page.get_by_role("button", name="Drop JSON lines weir.jsonl").click()
    dialog.get_by_role("button", name="Read it no longer").click()
    expect(page.locator("#done")).to_have_text("JSON lines weir.jsonl is no longer read; 1 document left the index.")
    expect(page.locator("#documents")).not_to_contain_text("weir")
    with site.database.connect() as session:
        kept = sa.select(document.c.gone_at).where(document.c.url == f"{SITE}/weir")
        assert session.scalars(kept).one() is not None, "it stays stored"


def test_a_source_of_twin_yaml_says_what_to_edit_and_names_the_adapters(page: Page, site: Api, tmp_path: Path) -> None:
    author = site.settings.author("ada")
    opened = SourceOpener.of(site.settings).entry(author.author, author.sources[0])
    configured = Warehouse(site.database).remember_source("ada", opened, {}, remembered=False)
    add_adapter(site.settings, site.database, "ada-1", tmp_path)
    Releases(site.database).approve("ada-1", by="Ada")
    moved = sa.update(document).where(document.c.url == f"{SITE}/tides")
    with site.database.begin() as session:
        session.execute(moved.values(source_id=configured))
    page.reload()
    page.get_by_role("button", name=f"Drop Medium {opened.location}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"take {opened.location} out of the sources of author ada in twin.yaml")
    expect(dialog.locator("#dropping-goes")).to_contain_text("1 sample of 1 dataset version")
    expect(dialog.locator("#dropping-goes")).to_contain_text("Trained on it and in use: ada-1 (champion)")
    expect(dialog.get_by_label("Only read it no longer")).to_be_disabled()
    looks_right_everywhere(page, "sources-dropping-configured")
    dialog.get_by_label("Type").fill(dialog.locator("#dropping-typed").inner_text())
    dialog.get_by_label("Also retire the adapters").check()
    dialog.get_by_role("button", name="Forget it for good").click()
    expect(page.locator("#done")).to_contain_text("Retired: ada-1.", timeout=20_000)
    expect(page.locator("#done")).to_contain_text("It still stands in twin.yaml")
    assert Releases(site.database).alias("ada", "champion") is None
    expect(page.locator("#sources tbody tr", has_text="in twin.yaml")).to_have_count(1)


def test_a_refusal_is_told_in_the_dialog(page: Page, site: Api, problems: list[str]) -> None:
    _import(page, "mole.jsonl", f"{SITE}/mole")
    page.get_by_role("button", name="Drop JSON lines mole.jsonl").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#dropping-goes")).to_contain_text("1 document")
    [source_id] = [each.id for each in Sources(site.database).readings() if each.location.endswith("mole.jsonl")]
    Sources(site.database).drop("ada", source_id)
    dialog.get_by_role("button", name="Read it no longer").click()
    expect(dialog.get_by_role("alert")).to_contain_text("There is no source")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_enabled()
    assert len(problems) == 1
    assert "404" in problems.pop()
