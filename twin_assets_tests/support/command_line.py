"""A person who types ``twin …``, and rows that training and evaluation would write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from typer.testing import CliRunner

from twin_resources.database import schema
from twin_resources.storage.datasets import Datasets, Member
from twin_serving.cli.main import app

CONSENT = "These accounts are mine. 2026-11-21"
URL = "https://ada.example/a"


class Twin:
    """Types ``twin`` commands in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, code: int = 0, answers: str | None = None) -> str:
        """Run a command that must end with ``code``; returns what it printed, the errors where it failed."""
        result = CliRunner().invoke(app, list(arguments), input=answers, prog_name="twin")
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.stderr
        return result.stdout if code == 0 else result.stderr

    def json(self, *arguments: str) -> Any:
        """What a command prints with ``--json``."""
        return json.loads(self(*arguments, "--json"))

    def write(self, text: str) -> None:
        """Make this the twin.yaml of the folder."""
        (self.folder / "twin.yaml").write_text(text, encoding="utf-8")


def add_dataset(engine: sa.Engine, name: str, samples: dict[str, tuple[str, str]]) -> None:
    """A dataset version with samples, each made from a document: sample to (document id, URL)."""
    members = [Member(sample, f"chunk-{sample}", key, url, "train") for sample, (key, url) in samples.items()]
    Datasets(engine).add(name, "ada", "instruct", f"datasets/{name}", {"samples": len(samples)}, members)


def add_adapter(
    engine: sa.Engine,
    version: str,
    dataset: str,
    *,
    passed: bool | None,
    base: str = "b",
    parameters: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """An adapter version with its gate report; None for one that was not evaluated."""
    row = {
        "id": version,
        "author": "ada",
        "version": version,
        "kind": "sft",
        "base": base,
        "artifact": f"adapters/{version}",
    }
    with engine.begin() as session:
        session.execute(
            sa.insert(schema.adapter).values(
                **row, dataset_id=dataset, parameters=parameters or {}, metrics=metrics or {}
            )
        )
        if passed is not None:
            gate = {"passed": passed, "failed": [] if passed else ["loss"]}
            values = {"id": f"gate-{version}", "author": "ada", "kind": "gate", "subject": version, "artifact": ""}
            session.execute(sa.insert(schema.report).values(**values, metrics=gate))


def document_of(engine: sa.Engine, url: str) -> str:
    """The id of a document by its URL."""
    with engine.connect() as session:
        return session.execute(sa.select(schema.document.c.id).where(schema.document.c.url == url)).scalar_one()
