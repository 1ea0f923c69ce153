"""The API searches a replica: its readers notice neither that it is there nor that it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.servers import Follower, follower, postgres_server
from twin_assets_tests.support.site import SITE, Api, wait_for, without_engine
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.forgetting.forget import Forgetting
from twin_resources.text.identity import document_id

QUERY = {"query": "Who changed the engine of the ferry?", "author": "ada"}


@pytest.fixture
def pair(settings_of: Callable[..., Settings], seed: Callable[[Settings], sa.Engine]) -> Iterator[tuple[Api, Follower]]:
    with postgres_server() as url:
        engine = seed(settings_of(url))
        with follower(url) as replica:
            address = replica.url.render_as_string()
            settings = settings_of(url, replica_url=address, replica_lag_seconds=1, models={"reranker": None})
            with without_engine(settings, engine, "/healthz/ready") as api:
                yield api, replica
            opened = postgres.databases(settings.postgres)
            for scoped in (True, False):
                follows = postgres.replica_engine(opened, scoped=scoped)
                assert follows
                follows.dispose()


def reads(api: Api) -> dict[str, float]:
    """Connections so far, by server."""
    with api.client() as client:
        lines = client.get("/metrics").text.splitlines()
    found = (line.split() for line in lines if line.startswith("twin_reads_total"))
    return {name.split('"')[1]: float(count) for name, count in found}


def test_searches_are_the_replicas_while_it_is_there(pair: tuple[Api, Follower]) -> None:
    api, replica = pair
    with api.client() as client:

        def asked() -> dict[str, float]:
            answers = [client.post("/search", json=QUERY), client.post("/ask", json={**QUERY, "mode": "quote"})]
            assert [each.status_code for each in answers] == [200, 200]
            assert answers[0].json()["results"][0]["title"] == "On ferries"
            return reads(api)

        wait_for(lambda: asked().get("replica", 0) > 0)
        replica.stop()
        before, after = asked(), asked()
        assert after["replica"] == before["replica"]
        assert after["primary"] > before["primary"]
        assert any("the replica is not read" in each for each in client.get("/readyz").json()["warnings"])
        replica.start()
        wait_for(lambda: asked()["replica"] > after["replica"])


def test_what_was_forgotten_is_read_nowhere_once_that_is_said(pair: tuple[Api, Follower]) -> None:
    api, replica = pair
    key = document_id("ada", f"{SITE}/post")
    with api.client() as client:
        wait_for(lambda: client.get(f"/documents/{key}").status_code == 200 and reads(api).get("replica", 0) > 0)
        Forgetting(api.settings, api.database).documents("ada", [key], "asked for")
        assert client.get(f"/documents/{key}").status_code == 404
        hits = client.post("/search", json=QUERY).json()["results"]
        assert "On ferries" not in [each["title"] for each in hits]
        other = document_id("ada", f"{SITE}/log")
        replica.pause()  # nobody may read it for longer than it may be behind
        assert client.delete(f"/documents/{other}").status_code == 200
        wait_for(lambda: client.get(f"/documents/{other}").status_code == 404)
        replica.resume()
