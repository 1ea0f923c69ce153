"""What readers answered is counted once, for nobody else to see, and goes with what it is about."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.forgetting import forget
from twin_resources.config.settings import Settings
from twin_resources.database import authors, postgres
from twin_resources.database.schema import author, blind_test
from twin_resources.forgetting.forget import Forgetting
from twin_resources.sources.base import RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.storage.calls.blind_tests import BlindTests, Showing, Side, Tally
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.releases import Adapter, Releases
from twin_resources.storage.warehouse import Warehouse


@pytest.fixture
def documents(engine: sa.Engine, settings: Settings) -> dict[str, list[str]]:
    """Ids of two documents of each author, who each have an adapter, ``<author>-1``."""
    warehouse = Warehouse(engine)
    found: dict[str, list[str]] = {}
    for each in settings.authors:
        warehouse.record_author(each)
        source = warehouse.remember_source(each.id, Folder("/nowhere", each.author), {}, remembered=True)
        urls = [f"https://{each.id}.example/{number}" for number in range(2)]
        raw = [RawDocument(url, "web", "articles", "text/markdown", f"Of {url}.") for url in urls]
        warehouse.collect(each.id, source, raw, origin="folder", name="test")
        located = warehouse.documents.at(each.id, urls)
        found[each.id] = [located[url].id for url in urls]
        Datasets(engine).add(f"data-{each.id}", each.id, "instruct", "datasets/none", {}, ())
        row: dict[str, Any] = {"kind": "sft", "base": "tiny", "artifact": "a", "parameters": {}, "metrics": {}}
        row |= {"id": each.id, "author": each.id, "version": f"{each.id}-1", "dataset_id": f"data-{each.id}"}
        Releases(engine).add_adapter(Adapter(**row, tracking_run=None))
    return found


def showing(name: str, document_id: str, version: str = "ada-1", side: Side = "a") -> Showing:
    return Showing(name, version, f"pair of {document_id}", document_id, side, None)


def test_a_document_is_shown_to_a_reader_once_and_the_first_answer_stands(
    engine: sa.Engine, documents: dict[str, list[str]]
) -> None:
    tests = BlindTests(engine)
    one, other = documents["ada"]
    assert tests.show("ada", "reader", showing("first", one))
    assert not tests.show("ada", "reader", showing("again", one, side="b"))
    assert tests.show("ada", "somebody else", showing("theirs", one, side="b"))
    assert [each.id for each in tests.open("ada", "ada-1", "reader")] == ["first"]
    answered = tests.answer("ada", "reader", "first", "b")
    assert answered
    assert (answered.choice, answered.own_side, answered.right) == ("b", "a", False)
    assert tests.answer("ada", "reader", "first", "a") == answered
    assert tests.answer("ada", "reader", "theirs", "b") is None, "that was shown to somebody else"
    assert tests.open("ada", "ada-1", "reader") == []
    assert tests.documents("ada", "reader") == {one}
    assert tests.show("ada", "reader", showing("next", other))
    tests.answer("ada", "reader", "next", "a")
    tests.answer("ada", "somebody else", "theirs", "b")
    assert tests.tallies("ada") == {"ada-1": Tally(2, 3)}
    assert tests.outcomes("ada", "ada-1") == [False, True, True]
    assert not tests.show("ada", "reader", showing("gone", "no such document"))


def test_the_api_sees_no_answers_on_another_author(
    engine: sa.Engine, settings: Settings, documents: dict[str, list[str]]
) -> None:
    for name in ("ada", "bo"):
        BlindTests(engine).show(name, "reader", showing(name, documents[name][0], f"{name}-1"))
    scoped = BlindTests(postgres.scoped_engine(postgres.databases(settings.postgres)))
    with authors.allow(("bo",)):
        assert scoped.answer("ada", "reader", "ada", "a") is None
        assert scoped.answer("bo", "reader", "bo", "a")
        assert scoped.tallies("ada") == {}
        assert not scoped.show("ada", "reader", showing("hers", documents["ada"][1]))
        with scoped.engine.connect() as session:
            assert session.scalars(sa.select(blind_test.c.author)).all() == ["bo"]
    scoped.engine.dispose()


def test_what_was_answered_about_a_document_goes_with_it(engine: sa.Engine, documents: dict[str, list[str]]) -> None:
    tests = BlindTests(engine)
    for name, key in zip(("gone", "kept"), documents["ada"], strict=True):
        tests.show("ada", "reader", showing(name, key))
        tests.answer("ada", "reader", name, "a")
    forget(engine, documents["ada"][0])
    assert tests.tallies("ada") == {"ada-1": Tally(1, 1)}
    assert tests.documents("ada", "reader") == {documents["ada"][1]}


def test_what_was_answered_about_an_author_goes_with_them(
    engine: sa.Engine, settings: Settings, documents: dict[str, list[str]]
) -> None:
    for name in ("ada", "bo"):
        BlindTests(engine).show(name, "reader", showing(name, documents[name][0], f"{name}-1"))
    Forgetting(settings, engine).author("ada")
    with engine.connect() as session:
        assert session.scalars(sa.select(author.c.id)).all() == ["bo"]
        assert session.scalars(sa.select(blind_test.c.author)).all() == ["bo"]


def test_who_answered_is_kept_for_a_while_and_what_for_good(engine: sa.Engine, documents: dict[str, list[str]]) -> None:
    tests = BlindTests(engine)
    one, other = documents["ada"]
    for reader, name, key in (("old", "old", one), ("new", "new", one), ("left", "left", other)):
        tests.show("ada", reader, showing(name, key))
        if name != "left":
            tests.answer("ada", reader, name, "a")
    days_ago = sa.func.now() - sa.text("interval '91 days'")
    with engine.begin() as session:
        aged = sa.update(blind_test).where(blind_test.c.id.in_(("old", "left")))
        session.execute(aged.values(shown_at=days_ago))
        session.execute(sa.update(blind_test).where(blind_test.c.id == "old").values(answered_at=days_ago))
    assert tests.purge(90) == 2
    assert tests.tallies("ada") == {"ada-1": Tally(2, 2)}, "the answers go on counting"
    assert [tests.documents("ada", each) for each in ("old", "new", "left")] == [set(), {one}, set()]
    assert tests.purge(90) == 0
