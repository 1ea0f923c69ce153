"""Services come up behind callers who are told what is not there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from twin_assets_tests.support.site import wait_for
from twin_resources.config.settings import Settings
from twin_resources.database.authors import is_allowed
from twin_resources.text import languages
from twin_serving.answering import services as module
from twin_serving.answering.errors import AuthorNeeded, NotReady, UnknownAuthor
from twin_serving.answering.services import Services


@pytest.fixture
def services(new_settings: Callable[..., Settings]) -> Iterator[Services]:
    """Without a language model; not started yet."""
    found = Services(new_settings(models={"reranker": None}), None)
    yield found
    found.stop()


def test_nothing_is_there_before_the_start_and_each_part_says_why(services: Services) -> None:
    for part in ("database", "engine", "rag", "releases", "interactions", "intake"):
        with pytest.raises(NotReady, match="the database is not ready: starting"):
            getattr(services, part)
    state = services.readiness()
    assert (state.ready, state.can_answer, dict(state.champions), list(state.warnings)) == (False, False, {}, [])
    assert {name: part.reason for name, part in state.components.items()} == {
        "database": "starting",
        "migrations": "waits for the database",
        "embedder": "the embedding model is loading",
        "generator": "waits for the database",
    }


def test_search_comes_up_without_an_engine(services: Services) -> None:
    languages._identifier.cache_clear()
    services.start()
    wait_for(lambda: services.readiness().ready, 60)
    wait_for(lambda: languages._identifier.cache_info().currsize == 1)  # no reader waits for what is loaded once
    state = services.readiness()
    assert state.can_answer is False
    assert state.components["generator"].reason == "the API was started without an engine"
    assert set(state.champions) == {"ada", "bo"}
    assert services.rag.search("ada", "anything").hits == []


def test_the_first_question_sees_all_of_its_author_and_of_nobody_else(
    new_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words and languages of an author are remembered: read without a right to see them, they would stay empty."""
    seen: list[tuple[str, list[str]]] = []

    def note(_: object, author: str, __: str) -> None:
        seen.append((author, [each for each in ("ada", "bo") if is_allowed(each)]))

    monkeypatch.setattr(module, "look", note)
    services = Services(new_settings(models={"reranker": None}), None, scoped=True)
    services.start()
    try:
        wait_for(lambda: len(seen) == 2, 60)
    finally:
        services.stop()
    assert seen == [("ada", ["ada"]), ("bo", ["bo"])]


def test_a_database_that_is_not_there_is_named_and_asked_again(new_settings: Callable[..., Settings]) -> None:
    services = Services(new_settings(database_url="postgresql://nobody@127.0.0.1:9/none"), None)
    services.start()
    try:
        wait_for(lambda: "nobody" in (services.readiness().components["database"].reason or ""))
        with pytest.raises(NotReady, match="nobody"):
            _ = services.database
    finally:
        services.stop()


def test_an_author_is_named_where_there_are_several(services: Services, new_settings: Callable[..., Settings]) -> None:
    assert services.author("bo") == "bo"
    with pytest.raises(AuthorNeeded, match="Name one of the authors: ada, bo"):
        services.author(None)
    with pytest.raises(UnknownAuthor, match="There is no author 'cy'; there are: ada, bo"):
        services.author("cy")
    only = [{"id": "ada", "name": "Ada", "consent": "These accounts are mine. 2026-11-21"}]
    assert Services(new_settings(authors=only), None).author(None) == "ada"
