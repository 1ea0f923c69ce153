"""Dagster's tables in Postgres over connections that are used again.

``DagsterPostgresStorage`` opens a connection for every statement outside of the webserver: a daemon with nothing to do
some twenty a second, a run one for each event, and each is a process that Postgres starts. ``dagster.yaml`` names this
class instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

CONNECTION_SECONDS = 5
"""How long a connection is used again: few, so that one from before a restart of Postgres is not."""
_STATEMENT_MILLISECONDS = 600_000
_CONNECTIONS = 20
"""As many threads of a process get a connection at once; one of each kind of table stays open."""


class PooledStorage(DagsterPostgresStorage):
    """Dagster's storage in Postgres; takes the configuration of ``DagsterPostgresStorage``."""

    def __init__(self, postgres_url: str, **named: Any) -> None:
        super().__init__(postgres_url, **named)
        for storage in (self.run_storage, self.event_log_storage, self.schedule_storage):
            storage.optimize_for_webserver(_STATEMENT_MILLISECONDS, CONNECTION_SECONDS, _CONNECTIONS)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledStorage:
        return cls(
            pg_url_from_config(config_value),  # pyright: ignore[reportArgumentType]
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
        )
