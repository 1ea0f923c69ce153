"""A version on canary, as readers meet it over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import QUESTION, Api, add_adapter, ask, running
from twin_assets_tests.support.tiny_models import FIRST, SECOND, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.database.schema import interaction
from twin_resources.storage.keys import ApiKeys
from twin_resources.storage.releases import Releases

SAYS = {"ada-first": FIRST, "ada-second": SECOND}
SHARE = 0.5


@pytest.fixture(scope="module")
def site(
    new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine], tiny: TinyModels
) -> Iterator[Api]:
    """An application with a key, whose champion is ada-first, and ada-second on canary."""
    settings = new_settings(models={"base": str(tiny.base), "reranker": None}, api_keys="first-key")
    database = seed(settings)
    for name in ("first", "second"):
        add_adapter(settings, database, f"ada-{name}", getattr(tiny, name))
    Releases(database).approve("ada-first", by="test")
    with running(settings, database) as found:
        with found.client(headers={"Authorization": "Bearer first-key"}) as client:
            started = client.post("/releases/ada-second/canary", json={"share": SHARE, "by": "Ada"}).json()
            assert (started["aliases"], started["share"]) == (["canary"], SHARE)
        found.answers(lambda: found.app.state.services.engine.canary("ada"))
        yield found


@pytest.fixture
def client(site: Api) -> Iterator[httpx.Client]:
    with site.client(headers={"Authorization": "Bearer first-key"}) as found:
        yield found


def drawn(site: Api, trace: str) -> float | None:
    with site.database.connect() as session:
        return session.scalar(sa.select(interaction.c.draw).where(interaction.c.id == trace))


def test_a_conversation_stays_with_its_version_which_the_answer_names(client: httpx.Client, site: Api) -> None:
    begun = [ask(client, query=f"{QUESTION} Part {number}.") for number in range(12)]
    assert {each["model"]["adapter"] for each in begun} == set(SAYS)
    for each in begun:
        version = each["model"]["adapter"]
        assert each["answer"].startswith(SAYS[version][:-1])
        draw = drawn(site, each["trace_id"])
        assert draw is not None
        assert (draw < SHARE) == (version == "ada-second")
        again = ask(client, query="And then?", conversation_id=each["conversation_id"])
        assert again["model"]["adapter"] == version
        assert drawn(site, again["trace_id"]) == draw
    quoted = ask(client, mode="auto", conversation_id=begun[0]["conversation_id"])
    assert (quoted["mode"], quoted["model"]["adapter"]) == ("quote", None), "without a licence neither writes"
    assert drawn(site, quoted["trace_id"]) == drawn(site, begun[0]["trace_id"]), "its side counts all the same"


def test_whoever_keeps_the_turns_stays_by_key_and_first_message(client: httpx.Client, site: Api) -> None:
    def chat(who: httpx.Client, *said: str, **more: Any) -> tuple[str, float | None]:
        messages = [{"role": "user" if place % 2 == 0 else "assistant", "content": text}
                    for place, text in enumerate(said)]  # fmt: skip
        body = {"model": "twin/ada", "messages": messages, "use_rag": False, "temperature": 0, **more}
        found = who.post("/v1/chat/completions", json=body).json()
        return found["model"], drawn(site, found["twin"]["trace_id"])

    openings = [f"Hello {number}." for number in range(12)]
    first = {each: chat(client, each) for each in openings}
    assert {model for model, _ in first.values()} == {"twin/ada@ada-first", "twin/ada@ada-second"}
    assert {each: chat(client, each, "Hello.", "And now?") for each in openings} == first
    _, secret = ApiKeys(site.database).create("somebody", "reader", ["ada"])
    with site.client(headers={"Authorization": f"Bearer {secret}"}) as other:
        assert all(chat(other, each)[1] != first[each][1] for each in openings), "another key, another conversation"


def test_who_names_a_model_gets_it_and_counts_on_no_side(client: httpx.Client, site: Api) -> None:
    for name, version in (("champion", "ada-first"), ("canary", "ada-second"), ("ada-second", "ada-second")):
        found = [ask(client, model=name) for _ in range(3)]
        assert {each["model"]["adapter"] for each in found} == {version}
        assert [drawn(site, each["trace_id"]) for each in found] == [None] * 3


def test_the_report_says_how_it_stands_and_it_ends_when_it_is_rejected(client: httpx.Client, site: Api) -> None:
    asked = ask(client)
    client.post("/feedback", json={"trace_id": asked["trace_id"], "rating": "down"})
    canary = client.get("/releases/ada-second/report").json()["canary"]
    with site.database.connect() as session:
        draws = set(session.scalars(sa.select(interaction.c.draw).where(interaction.c.draw.is_not(None))))
    mine = sum(each < SHARE for each in draws)
    assert (canary["share"], canary["conversations"], canary["of_champion"]) == (SHARE, mine, len(draws) - mine)
    down = next(each for each in canary["figures"] if each["name"] == "down")
    on_canary = asked["model"]["adapter"] == "ada-second"
    assert (down["canary"], down["champion"]) == ((1, 0) if on_canary else (0, 1))
    assert canary["worse"] == ""
    assert client.get("/releases/ada-first/report").json()["canary"] is None
    listed = {each["version"]: each for each in client.get("/releases").json()["releases"]}
    assert [listed[each]["serving"] for each in SAYS] == [True, True]
    assert (listed["ada-second"]["decision"]["action"], listed["ada-second"]["decision"]["share"]) == ("canary", SHARE)
    for wrong in ({"share": 0}, {"share": 1}, {"share": "half"}):
        assert client.post("/releases/ada-second/canary", json=wrong).status_code == 422
    refused = client.post("/releases/ada-first/canary", json={})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:llm-twin:problem:release-refused")
    rejected = client.post("/releases/ada-second/reject", json={"comment": "answers in lists"}).json()
    assert (rejected["aliases"], rejected["share"]) == ([], None)
    site.answers(lambda: site.app.state.services.engine.canary("ada") is None)
    assert {ask(client)["model"]["adapter"] for _ in range(4)} == {"ada-first"}
