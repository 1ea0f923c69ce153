"""Documents come in as they are, once, and never against somebody's wish."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.forgetting import forget
from twin_resources.config.settings import Settings
from twin_resources.database import schema
from twin_resources.sources.base import RawDocument
from twin_resources.storage.warehouse import Warehouse
from twin_resources.text.identity import document_id
from twin_serving.answering.intake import Intake, Sent

URL = "https://bo.example.com"


def document(name: str, text: str = "Some words of mine.") -> RawDocument:
    return RawDocument(f"{URL}/{name}", "api", "posts", "text/plain", text, name.title())


@pytest.fixture
def intake(engine: sa.Engine, settings: Settings) -> Intake:
    return Intake(Warehouse(engine), settings)


def test_what_is_new_or_changed_is_accepted_and_the_same_again_is_not(intake: Intake) -> None:
    first = intake.store("bo", {0: document("a"), 2: document("b")})
    assert (first.accepted, first.unchanged, list(first.rejected)) == (2, 0, [])
    assert [(each.index, each.id, each.url) for each in first.documents] == [
        (0, document_id("bo", f"{URL}/a"), f"{URL}/a"),
        (2, document_id("bo", f"{URL}/b"), f"{URL}/b"),
    ]
    again = intake.store("bo", {0: document("a"), 1: document("b", "Other words.")})
    assert (again.accepted, again.unchanged) == (1, 1)
    assert intake.warehouse.counts("bo")["documents"] == 2


def test_one_url_comes_in_once_a_request(intake: Intake) -> None:
    found = intake.store("bo", {3: document("a"), 5: document("a", "Another text.")})
    assert found.accepted == 1
    assert [(each.index, each.error) for each in found.rejected] == [(5, "the same URL as document 3 of this request")]


def test_a_forgotten_document_stays_out(intake: Intake, engine: sa.Engine) -> None:
    intake.store("bo", {0: document("a")})
    forget(engine, document_id("bo", f"{URL}/a"))
    found = intake.store("bo", {0: document("a"), 1: document("b")})
    assert (found.accepted, found.unchanged) == (1, 0)
    [rejected] = found.rejected
    assert (rejected.index, "was forgotten on request" in rejected.error) == (0, True)
    assert [each.url for each in found.documents] == [f"{URL}/b"]


def test_what_another_source_provides_is_not_taken_over_until_it_is_gone(
    intake: Intake, engine: sa.Engine, settings: Settings
) -> None:
    author = settings.author("bo")
    intake.warehouse.record_author(author)
    source = intake.warehouse.remember_source("bo", Sent("a blog", author.author), {}, remembered=True)
    intake.warehouse.collect("bo", source, [document("a")], origin="website", name="a blog")
    [rejected] = intake.store("bo", {0: document("a", "Mine now.")}).rejected
    assert rejected.error.startswith("the source website provides this URL")
    with engine.begin() as session:
        session.execute(sa.update(schema.document).values(gone_at=sa.func.now()))
    assert intake.store("bo", {0: document("a", "Mine now.")}).rejected == []


def test_nothing_is_remembered_of_a_request_without_a_good_document(intake: Intake, engine: sa.Engine) -> None:
    found = intake.store("bo", {})
    assert (found.accepted, found.unchanged, list(found.documents)) == (0, 0, [])
    with engine.connect() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(schema.source)) == 0


def test_a_document_that_moved_keeps_its_id_and_its_source(
    intake: Intake, engine: sa.Engine, settings: Settings
) -> None:
    intake.store("bo", {0: document("a"), 1: document("b")})
    with engine.begin() as session:
        for name in ("a", "b"):
            moved = {"url": f"{URL}/{name}2", "former_urls": [f"{URL}/{name}"]}
            if name == "b":
                moved["origin"] = "web"
            session.execute(
                sa.update(schema.document)
                .where(schema.document.c.id == document_id("bo", f"{URL}/{name}"))
                .values(moved)
            )
    found = intake.store("bo", {0: document("a2", "New words."), 1: document("b2")})
    assert [(each.index, each.id) for each in found.documents] == [(0, document_id("bo", f"{URL}/a"))]
    assert [(each.index, "the source web provides" in each.error) for each in found.rejected] == [(1, True)]
