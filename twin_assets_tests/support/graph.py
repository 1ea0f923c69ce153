"""The whole graph of a small author, in processes of its own, as ``twin run`` starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from twin_assets_tests.support import essays
from twin_assets_tests.support.watching import Watch
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_resources.database.schema import adapter
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.releases import Releases
from twin_resources.storage.warehouse import Warehouse
from twin_serving.processes.servers import environment, prepare_dagster

FEATURES = "group:collect or group:clean or group:chunk or group:embed or group:dataset"


class Graph:
    """A home, a database and a folder of essays, and the commands a person would type.

    Args:
        database_url: None for an embedded Postgres of its own.
        essays: how many are written.
    """

    def __init__(self, folder: Path, database_url: str | None, base: Path, embedding: Path, essays: int) -> None:
        self.folder = folder
        self.essays = essays
        self.notes = folder / "notes"
        self.write()
        config = {
            "authors": [
                {
                    "id": "ada",
                    "name": "Ada Berg",
                    "consent": "Written for this test. 2026-11-21",
                    "sources": [{"folder": "notes", "base_url": "https://ada.example"}],
                }
            ],
            "models": {"base": str(base), "embedding": str(embedding), "reranker": None, "dtype": "float32"},
            "training": {
                "epochs": 4,
                "learning_rate": 0.01,
                "token_budget": 60_000,
                "max_sample_tokens": 384,
                "batch_size": 8,
                "gradient_accumulation": 1,
                "checkpoint_every": 4,
                "reranker": {"max_questions": 16, "enough": 1.01},
            },
            "release": {"approval": "auto"},
        }
        (folder / "twin.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.variables = {
            "TWIN_CONFIG": str(folder / "twin.yaml"),
            "TWIN_HOME": str(folder / "home"),
            "TWIN_DAGSTER_PORT": "9",
            "TWIN_MLFLOW_PORT": "9",
        }
        self.watch = Watch.kept_in(folder / "watch")
        if database_url:
            self.variables["TWIN_DATABASE_URL"] = database_url
        self.settings = self._settings()
        self.databases = postgres.prepare(self.settings.postgres)
        self.engine = postgres.engine(self.databases)
        prepare_dagster(self.settings)

    def write(self) -> None:
        """The essays as they were written first; short ones, so that little is asked about them."""
        essays.write(self.notes, self.essays, sections=2)

    def _settings(self) -> Settings:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.variables.items():
                patch.setenv(name, value)
            return load()

    @property
    def environment(self) -> dict[str, str]:
        started = environment(self.settings, self.databases)
        return {**started, **self.variables, **self.watch.variables, "HF_HUB_OFFLINE": "1"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "twin_assets.run", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> str:
        return ended(self.start(*arguments), 0)

    def fails(self, *arguments: str) -> str:
        return ended(self.start(*arguments), 1)

    def versions(self) -> dict[str, str]:
        """Content hashes of every stage up to the datasets."""
        warehouse = Warehouse(self.engine)
        index = VectorIndex(self.engine, self.settings.models.embedding)
        datasets = Datasets(self.engine)
        return {
            "raw": warehouse.raw_hash("ada", "folder"),
            "clean": warehouse.clean.hash("ada", "articles"),
            "chunks": warehouse.chunks.hash("ada", "articles"),
            "embeddings": index.snapshot_hash("ada", "articles"),
            **{kind: found.id for kind in ("instruct", "retrieval") if (found := datasets.newest("ada", kind))},
        }

    def adapters(self) -> list[str]:
        with self.engine.connect() as session:
            return list(session.scalars(sa.select(adapter.c.version).order_by(adapter.c.created_at)))

    def champion(self) -> str | None:
        found = Releases(self.engine).alias("ada", "champion")
        return found.version if found else None


def ended(process: subprocess.Popen[str], code: int, seconds: float = 1200) -> str:
    """What a command printed that ends with ``code``; one that hangs is ended with all it started, and shown too."""
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        raise AssertionError(f"no end after {seconds:.0f} s:\n{output}") from None
    assert process.returncode == code, output
    return output
