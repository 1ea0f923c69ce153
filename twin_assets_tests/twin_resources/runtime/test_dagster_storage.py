"""What Dagster stores goes over connections that stay."""

from __future__ import annotations

import dagster as dg
import psycopg
import pytest

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_serving.processes.servers import environment, prepare_dagster


def test_many_statements_need_few_connections(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    databases = postgres.prepare(settings.postgres)
    prepare_dagster(settings)
    for name, value in environment(settings, databases).items():
        monkeypatch.setenv(name, value)
    settled = "SELECT pg_stat_force_next_flush(), sessions FROM pg_stat_database WHERE datname = %s"

    def opened() -> int:
        with psycopg.connect(postgres.dsn(databases.twin)) as session:
            return session.execute(settled, [databases.dagster.database]).fetchall()[0][1]

    with dg.DagsterInstance.get() as instance:
        instance.get_runs_count()
        before = opened()
        for number in range(50):
            instance.get_runs_count()
            instance.add_dynamic_partitions("author", [f"author-{number}"])
        assert len(instance.get_dynamic_partitions("author")) == 50
    assert opened() - before < 6
