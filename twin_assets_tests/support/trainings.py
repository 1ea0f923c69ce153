"""Two trainings that differ in their rank, with all that was measured of them, and one of which nothing is known."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from twin_assets_tests.support.command_line import add_adapter, add_dataset
from twin_resources.database.schema import adapter
from twin_resources.storage.reports import Reports

QUESTION = "What does the <b>gauge</b> write?"


def add_trainings(engine: sa.Engine, document_id: str) -> None:
    """``ada-wide`` and ``ada-narrow``, trained on the document, and ``ada-old`` before them."""
    add_dataset(engine, "d1", {"s1": (document_id, "https://ada.example/1")})
    for number, (version, rank) in enumerate((("ada-old", None), ("ada-narrow", 4), ("ada-wide", 16))):
        parameters = {"rank": rank, "dpo": {"beta": 0.1}} if rank else {}
        add_adapter(
            engine,
            version,
            "d1",
            passed=None if rank is None else rank == 16,
            base="org/tiny",
            parameters=parameters,
            metrics=_metrics(rank) if rank else {},
        )
        with engine.begin() as session:
            mine = sa.update(adapter).where(adapter.c.version == version)
            session.execute(mine.values(created_at=sa.text(f"timestamptz '2026-03-0{number + 1}'")))
        if rank:
            _measure(Reports(engine), version, rank / 100)


def _metrics(rank: int) -> dict[str, Any]:
    return {
        "validation_loss": 2.0 + rank / 100,
        "curve": [[0, None, 3.5], [4, 3.0, 2.5], [8, 2.0 - rank / 100, 2.0 + rank / 100]],
        "texts": [{"step": 8, "question": QUESTION, "text": f"Of rank {rank}, I say.", "own": "A reading."}],
        "hyperparameters": "from twin.yaml and defaults",
        "training_code": "4",
        "backend": "peft",
        "hardware": "CPU, x86_64, 2 cores, Linux",
        "processes": 1,
        "seconds": 130.0,
        **({"cost": 0.12, "currency": "EUR"} if rank == 16 else {"stopped": "it began to know its texts by heart"}),
    }


def _measure(reports: Reports, version: str, shift: float) -> None:
    figures: dict[str, dict[str, Any]] = {
        "generation": {
            "loss": {"base": 3.2, version: 2.6 + shift},
            "gain": 0.18,
            "gain_interval": [0.12, 0.24],
            "memorisation": {"excess": 0.5, "interval": [-0.2, 1.2]},
        },
        "style": {"arms": {"adapter": {"score": 0.71, "low": 0.55, "high": 0.86}}},
        "answers": {"arms": {"adapter + passages": {"support": {"share": 0.8, "low": 0.69, "high": 0.88}}}},
    }
    for kind, metrics in figures.items():
        reports.add(f"{kind}-{version}", "ada", kind, version, metrics, "")
