"""A graph whose sources fail, or whose processes are killed, loses nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from twin_assets_tests.support.graph import FEATURES, Graph, ended
from twin_assets_tests.support.processes import within
from twin_resources.database import postgres
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.storage.releases import Releases
from twin_resources.storage.warehouse import Warehouse

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

ESSAYS = 18


def test_a_source_that_fails_keeps_nothing_else_from_being_built(new_graph: Callable[..., Graph]) -> None:
    other = new_graph(ESSAYS)
    path = other.folder / "twin.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["authors"][0]["sources"].append({"linkedin": "me"})
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    output = other.fails("--select", "group:collect or group:clean")
    assert "TWIN_LINKEDIN_TOKEN" in output
    assert "raw/linkedin every_source_was_read" in output
    assert Warehouse(other.engine).counts("ada")["clean_documents"] == ESSAYS
    for number in range(1, ESSAYS):
        (other.notes / f"essay-{number:02}.md").unlink()
    output = other.fails("--select", "group:collect or group:clean")
    assert "nothing_vanished" in output
    assert "clean_documents" not in output, "a blocking check stops everything"
    other.engine.dispose()


def test_killed_in_the_middle_and_run_again_gives_the_same_content(
    new_graph: Callable[..., Graph],
) -> None:
    undisturbed = new_graph(ESSAYS)
    undisturbed.run("--select", FEATURES)
    other = new_graph(ESSAYS, embedded=True)
    path = other.folder / "twin.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["training"]["processes"] = 2
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    warehouse = Warehouse(other.engine)
    index = VectorIndex(other.engine, other.settings.models.embedding)
    wanted = ("--select", '+key:"models/sft_adapter" or key:"datasets/retrieval" or group:embed')

    def kill_run(moment: Callable[[], Any], what: str) -> None:
        process = other.start(*wanted)
        assert within(300, lambda: moment() or process.poll() is not None), f"the run never got to {what}"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    try:
        kill_run(lambda: warehouse.counts("ada")["documents"], "documents")
        kill_run(lambda: warehouse.counts("ada")["chunks"], "passages")
        process = other.start(*wanted)
        assert within(300, lambda: index.count("ada") or process.poll() is not None), "the run never got to vectors"
        postmaster = postgres.pid(other.settings.postgres)
        assert postmaster
        os.kill(postmaster, signal.SIGKILL)
        ended(process, 1, 300)
        postgres.prepare(other.settings.postgres)
        checkpoints = other.folder / "home" / "training"
        kill_run(lambda: list(checkpoints.glob("*/checkpoints/checkpoint-*/trainer_state.json")), "a checkpoint")
        assert other.adapters() == []
        other.run(*wanted)
        assert other.versions() == undisturbed.versions()
        (version,) = other.adapters()
        metrics = Releases(other.engine).get(version).metrics
        assert metrics["resumed"] is True
        assert metrics["batch_size"] == config["training"]["batch_size"] // 2, "each process takes half of a step"
    finally:
        other.engine.dispose()
        undisturbed.engine.dispose()
        postgres.stop(other.settings.postgres)
