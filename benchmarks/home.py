"""A home for a benchmark that runs the whole product: the sample author on a model of some thousand parameters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import yaml

from twin_assets_tests.support.essays import write
from twin_assets_tests.support.processes import free_ports
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_serving.processes.servers import ROOT

SOURCES = {"substack_export", "linkedin_export"}
"""The sources of the sample author that are read: a graph of a minute or two."""
TRAINING: Mapping[str, Any] = {
    "epochs": 2,
    "learning_rate": 0.01,
    "token_budget": 12_000,
    "max_sample_tokens": 256,
    "gradient_accumulation": 1,
    "checkpoint_every": 2,
    "reranker": {"enabled": False},
}
RELEASE: Mapping[str, Any] = {"approval": "auto", "min_loss_gain": -1.0, "max_loss_regression": 10.0}
"""A gate that such a model passes."""
_UNFINISHED = "SELECT count(*) FROM runs WHERE status IN ('NOT_STARTED', 'QUEUED', 'STARTING', 'STARTED', 'CANCELING')"


class Home:
    """A folder with ``twin.yaml``, state and ports of its own, and ``twin`` as a person types it there.

    Args:
        folder: made here.
        base: folder of the base model.
        embedding: folder of the embedding model; the packaged one without it.
        essays: so many short essays instead of the sample author's documents.
        sections: sections of ``twin.yaml``, over those of the module.
    """

    def __init__(
        self, folder: Path, base: Path, embedding: Path | None = None, *, essays: int = 0, **sections: Mapping[str, Any]
    ) -> None:
        shutil.copytree(ROOT / "examples" / "sample", folder)
        if essays:
            write(folder / "notes", essays, sections=2)
        self.folder = folder
        self.path = folder / "twin.yaml"
        config = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        author = config["authors"][0]
        of_sample = [each for each in author["sources"] if SOURCES & set(each)]
        author["sources"] = [{"folder": "notes", "base_url": "https://notes.example"}] if essays else of_sample
        self.author: str = author["id"]
        models = {"base": str(base), "reranker": None, "dtype": "float32"}
        if embedding:
            models["embedding"] = str(embedding)
        self._write({**config, "models": models, "training": dict(TRAINING), "release": dict(RELEASE), **sections})
        ports = free_ports(3)
        outside = {key: value for key, value in os.environ.items() if not key.startswith("TWIN_")}
        self.environment = {
            **outside,
            "TWIN_CONFIG": str(self.path),
            "TWIN_HOME": str(folder / "state"),
            "TWIN_API_PORT": str(ports[0]),
            "TWIN_DAGSTER_PORT": str(ports[1]),
            "TWIN_MLFLOW_PORT": str(ports[2]),
            "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "1",
        }
        self.api = f"http://127.0.0.1:{ports[0]}"
        self.settings = self._settings()

    def configure(self, section: str, **values: Any) -> None:
        """Write values into a section of ``twin.yaml``, as a person would; the next run reads them."""
        config = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        config[section] = {**config.get(section, {}), **values}
        self._write(config)

    def _write(self, config: Mapping[str, Any]) -> None:
        self.path.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")

    def _settings(self) -> Settings:
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            return load()
        finally:
            os.environ.clear()
            os.environ.update(before)

    @property
    def log(self) -> Path:
        """What the typed commands printed."""
        return self.folder / "typed.log"

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command, on its way."""
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self._typed(arguments), cwd=ROOT, env=self.environment, stdout=output, stderr=output
            )

    def say(self, *arguments: str) -> str:
        """What a command prints."""
        return subprocess.run(
            self._typed(arguments), cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True
        ).stdout

    def _typed(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "twin_serving.cli", *arguments]

    def dagster(self) -> psycopg.Connection:
        """A session in Dagster's own database."""
        return psycopg.connect(postgres.dsn(postgres.databases(self.settings.postgres).dagster))

    def unfinished(self) -> int:
        """Runs that Dagster takes for queued or running."""
        with self.dagster() as session:
            row = session.execute(_UNFINISHED).fetchone()
        return row[0] if row else 0
