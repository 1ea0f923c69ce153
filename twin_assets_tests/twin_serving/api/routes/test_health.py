"""What the API says of itself."""

from __future__ import annotations

import httpx
import sqlalchemy as sa

from twin_assets_tests.support.site import Api, ask
from twin_resources.database import postgres
from twin_resources.storage.alerts import Alerts
from twin_serving.answering.readiness import daemon_death


def test_readiness_says_what_is_missing(client: httpx.Client) -> None:
    found = client.get("/readyz")
    assert found.status_code == 200
    assert {name for name, part in found.json()["components"].items() if part["ready"]} == {
        "database",
        "migrations",
        "embedder",
        "generator",
    }
    assert "daemon has never run" in found.json()["warnings"][0]


def test_what_is_wrong_with_an_author_is_a_warning(client: httpx.Client, api: Api) -> None:
    store = Alerts(postgres.engine(postgres.databases(api.settings.postgres)))
    store.observe("failed_run", "ada", "bad", "models/sft_adapter failed; `twin status` says why")
    said = "ada: models/sft_adapter failed; `twin status` says why"
    assert said in client.get("/readyz").json()["warnings"]
    store.observe("failed_run", "ada", "good", "every stage was made")
    assert said not in client.get("/readyz").json()["warnings"]


def test_a_stale_daemon_is_a_warning_and_one_that_never_ran_is_not_dead(client: httpx.Client, api: Api) -> None:
    assert daemon_death(postgres.databases(api.settings.postgres)) is None
    url = postgres.databases(api.settings.postgres).dagster.set(drivername="postgresql+psycopg")
    dagster = sa.create_engine(url)
    try:
        with dagster.begin() as session:
            session.execute(sa.text("CREATE TABLE daemon_heartbeats (daemon_type text, timestamp timestamp)"))
            session.execute(
                sa.text("INSERT INTO daemon_heartbeats VALUES ('SENSOR', now() at time zone 'utc' - interval '1 hour')")
            )
        assert "60 minutes ago" in client.get("/readyz").json()["warnings"][0]
        assert "60 minutes ago" in (daemon_death(postgres.databases(api.settings.postgres)) or "")
        with dagster.begin() as session:
            session.execute(sa.text("UPDATE daemon_heartbeats SET timestamp = now() at time zone 'utc'"))
        assert client.get("/readyz").json()["warnings"] == []
    finally:
        with dagster.begin() as session:
            session.execute(sa.text("DROP TABLE daemon_heartbeats"))
        dagster.dispose()


def test_metrics_count_what_happened(client: httpx.Client) -> None:
    ask(client)
    client.get("/nowhere")
    text = client.get("/metrics").text
    assert 'twin_requests_total{method="POST",route="/ask",status="200"}' in text
    assert 'twin_errors_total{kind="not-found",route="unmatched"}' in text
    assert 'twin_champion_info{author="ada",version="base"} 1.0' in text
    assert 'twin_tokens_total{author="ada",direction="completion"}' in text
    assert 'twin_stage_seconds_count{stage="generate"}' in text
