"""Experiments and names in MLflow: one run a training, one registered model an author; trials lie under their search.

Jobs write straight to MLflow's database, so no server has to be up; the server only shows it. Imports MLflow lazily.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.locks import Locks
from twin_resources.storage.releases import Releases
from twin_resources.telemetry.calls import EXPERIMENT

log = logging.getLogger(__name__)


def creating_tables(found: postgres.Databases) -> contextlib.AbstractContextManager[object]:
    """Held around the first access to MLflow's database: two processes that create its tables at once both fail."""
    return Locks(postgres.engine(found)).hold(["tables of mlflow"], "mlflow", log.info)


class Tracking:
    """MLflow, for one author's experiment."""

    def __init__(self, settings: Settings) -> None:
        os.environ.setdefault("MLFLOW_ENABLE_TELEMETRY", "false")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mlflow import MlflowClient
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        self.settings = settings
        found = postgres.databases(settings.postgres)
        uri = found.mlflow.render_as_string(hide_password=False)
        with creating_tables(found):
            self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            self.client.search_experiments(max_results=1)

    @property
    def artifact_root(self) -> str:
        """Where MLflow keeps its own files."""
        return (self.settings.home / "mlflow").as_uri()

    def experiment(self, author_id: str) -> str:
        """Id of the author's experiment; created when missing."""
        name = EXPERIMENT.format(author=author_id)
        found = self.client.get_experiment_by_name(name)
        if found:
            return found.experiment_id
        return self.client.create_experiment(name, artifact_location=f"{self.artifact_root}/{name}")

    def start(self, author_id: str, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Start a run and return its id."""
        run = self.client.create_run(self.experiment(author_id), run_name=name, tags=dict(tags))
        for key, value in parameters.items():
            self.client.log_param(run.info.run_id, key, value)
        return run.info.run_id

    def start_under(
        self, parent: str, author_id: str, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
    ) -> str:
        """Start a run that is shown under another one and return its id."""
        return self.start(author_id, name, parameters, {**tags, "mlflow.parentRunId": parent})

    def reopen(self, run_id: str) -> None:
        """Show a run that ended, or whose process was killed, as running."""
        self.client.update_run(run_id, status="RUNNING")

    def metric(self, run_id: str, name: str, value: float, step: int = 0) -> None:
        """Add one value of a metric."""
        self.client.log_metric(run_id, name, value, step=step)

    def table(self, run_id: str, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show rows of the same columns as a table among a run's files, in place of the one of this name before."""
        columns = list(rows[0]) if rows else []
        data = [[row[each] for each in columns] for row in rows]
        self.client.log_dict(run_id, {"columns": columns, "data": data}, name)
        self.client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps([{"path": name, "type": "table"}]))

    def finish(self, run_id: str, metrics: Mapping[str, float], files: Sequence[Path] = ()) -> None:
        """End a run with its final metrics and files."""
        for name, value in metrics.items():
            self.client.log_metric(run_id, name, value)
        for path in files:
            self.client.log_artifact(run_id, str(path))
        self.client.set_terminated(run_id)

    def end(self, run_id: str, status: str, tags: Mapping[str, str]) -> None:
        """End a run with MLflow's ``FINISHED``, ``FAILED`` or ``KILLED``, and tags that say what came of it."""
        for name, value in tags.items():
            self.client.set_tag(run_id, name, value)
        self.client.set_terminated(run_id, status=status)

    def mirror(self, author_id: str, releases: Releases, artifact_url: str) -> str:
        """Show an author's versions and aliases in MLflow's model registry; returns the registered name."""
        from mlflow.exceptions import MlflowException

        name = EXPERIMENT.format(author=author_id)
        try:
            self.client.get_registered_model(name)
        except MlflowException:
            self.client.create_registered_model(name, description="Adapters of one author's twin.")
        known = {found.tags.get("twin.version"): found for found in self.client.search_model_versions(f"name='{name}'")}
        aliases: dict[str, str] = {}
        for found in reversed(releases.list(author_id)):
            if found.version not in known:
                known[found.version] = self.client.create_model_version(
                    name,
                    source=f"{artifact_url}/{found.artifact}",
                    tags={"twin.version": found.version, "twin.dataset": found.dataset_id, "twin.base": found.base},
                )
            for alias in found.aliases:
                aliases[alias] = known[found.version].version
        current = self.client.get_registered_model(name).aliases
        for alias, version in aliases.items():
            if str(current.get(alias)) != str(version):
                self.client.set_registered_model_alias(name, alias, version)
        for alias in set(current) - set(aliases):
            self.client.delete_registered_model_alias(name, alias)
        return name
