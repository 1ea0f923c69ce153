"""One author's work through the whole graph: real Postgres, real Dagster, real processes, real HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, expect

from twin_assets_tests.support import essays
from twin_assets_tests.support.graph import FEATURES, Graph, ended
from twin_assets_tests.support.processes import free_ports, within
from twin_resources.database.schema import report as reports
from twin_resources.retrieval.search import Options, Search
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.releases import Releases
from twin_resources.storage.reports import Reports
from twin_resources.storage.warehouse import Warehouse

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[1]
ESSAYS = 24


@pytest.fixture(scope="module")
def graph(new_graph: Callable[..., Graph]) -> Iterator[Graph]:
    """The whole graph, materialised once for all tests of this module."""
    made = new_graph(ESSAYS)
    made.run()
    yield made
    made.engine.dispose()


@pytest.fixture(scope="module")
def undisturbed(graph: Graph) -> dict[str, str]:
    """Content hashes of the essays as they were written first."""
    return graph.versions()


@pytest.fixture(scope="module")
def api(graph: Graph) -> Iterator[httpx.Client]:
    """The API as a process of its own on a free port, started once for the tests that ask it."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "twin_serving.cli", "serve-api"],
        env={**graph.environment, "TWIN_API_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            assert within(180, lambda: _answers(client)), "the API did not get ready"
            yield client
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _answers(client: httpx.Client) -> bool:
    """Whether the API answers questions; search comes up before the language model."""
    try:
        return client.post("/ask", json={"query": "Ready?", "mode": "write", "max_tokens": 1}).status_code == 200
    except httpx.TransportError:
        return False


def test_the_graph_makes_a_champion_from_a_folder_of_essays(graph: Graph, undisturbed: dict[str, str]) -> None:
    assert Warehouse(graph.engine).counts("ada")["clean_documents"] == ESSAYS
    assert len(undisturbed) == 6
    (version,) = graph.adapters()
    assert graph.champion() == version
    release = Releases(graph.engine).get(version)
    assert release.metrics["validation_loss"] < release.metrics["validation_loss_base"]
    assert release.gate["passed"]


def test_a_whole_graph_asks_for_nothing_beyond_this_machine(graph: Graph) -> None:
    """What the servers beside it ask for is watched in ``test_web_interfaces.py``."""
    assert graph.watch.saw("twin_assets.run")
    assert graph.watch.saw("job"), "what trains and measures"
    assert graph.watch.elsewhere() == []


def test_a_reranker_learns_from_the_authors_questions_and_serves_only_if_it_gains(
    graph: Graph, api: httpx.Client
) -> None:
    report = Reports(graph.engine).newest("ada", "reranker")
    assert report
    metrics = report.metrics
    assert all(metrics["questions"][part] > 0 for part in ("train", "validation", "test"))
    assert metrics["steps"] == 8
    assert metrics["released"] == (metrics["confidence"] > 0.95)
    body = {"query": "Why the harbour needs a rope", "k": 3}
    plain = api.post("/search", json=body).json()
    assert (plain["reranker"] is not None) == metrics["released"]
    folder = ArtifactStore.of(graph.settings).folder(report.artifact)
    assert 0 <= json.loads((folder / "blend.json").read_text())["weight"] <= 1
    with graph.engine.begin() as session:
        released = {**metrics, "released": True}
        session.execute(sa.update(reports).where(reports.c.id == report.id).values(metrics=released))
    assert within(30, lambda: api.post("/search", json=body).json()["reranker"]), "the released re-ranker is not used"
    ranked = api.post("/search", json=body).json()
    assert ranked["reranker"].startswith("ada-reranker-")
    assert {hit["chunk_id"] for hit in ranked["results"]} & {hit["chunk_id"] for hit in plain["results"]}
    assert all("rerank" in hit["scores"] for hit in ranked["results"])
    with graph.engine.begin() as session:
        session.execute(sa.update(reports).where(reports.c.id == report.id).values(metrics=metrics))
    assert within(30, lambda: (api.post("/search", json=body).json()["reranker"] is None) == (not metrics["released"]))


def test_an_answer_leads_back_to_its_documents_and_a_document_to_its_adapters(
    graph: Graph, undisturbed: dict[str, str], api: httpx.Client
) -> None:
    found = api.post("/search", json={"query": "why the anchor needs a rope", "k": 3}).json()
    assert len(found["results"]) == 3
    assert found["reranker"] is None
    url = found["results"][0]["url"]
    assert url.startswith("https://ada.example/essay-")
    answer = api.post(
        "/ask", json={"query": "Why does the anchor need a rope?", "mode": "write", "max_tokens": 40}
    ).json()
    assert answer["model"]["adapter"] == graph.champion()
    back = api.get("/lineage", params={"trace_id": answer["trace_id"]}).json()
    assert back["adapter"]["version"] == graph.champion()
    assert back["adapter"]["dataset"]["id"] == undisturbed["instruct"]
    trained_on = [document["url"] for document in back["adapter"]["dataset"]["documents"]]
    forward = api.get("/lineage", params={"url": trained_on[0]}).json()
    assert [found["version"] for found in forward["documents"][0]["adapters"]] == [graph.champion()]


def test_running_again_does_nothing_again(graph: Graph, undisturbed: dict[str, str]) -> None:
    output = graph.run()
    assert graph.versions() == undisturbed
    assert len(graph.adapters()) == 1
    assert "embedded now" not in output
    assert "trained now" not in output


def test_an_edit_and_a_deletion_move_through_everything_and_touch_nothing_else(
    graph: Graph, undisturbed: dict[str, str]
) -> None:
    search = Search(graph.engine, graph.settings.models.embedding)
    query = "Why the " + essays.essay(5, 2).split("## Why the ")[1].split("\n")[0]

    def found() -> list[str]:
        return [hit.url for hit in search.find("ada", query, None, k=50, options=Options("lexical"))]

    assert any(url.endswith("essay-05") for url in found()[:5])
    edited = graph.notes / "essay-03.md"
    edited.write_text(
        edited.read_text().replace("##", "A sentence that stood nowhere before.\n\n##", 1), encoding="utf-8"
    )
    (graph.notes / "essay-05.md").unlink()
    output = graph.run("--select", FEATURES)
    after = graph.versions()
    assert all(after[stage] != undisturbed[stage] for stage in ("raw", "clean", "chunks", "embeddings", "instruct"))
    assert "embedded now 1," in output, "only the passage that changed is embedded"
    assert "passages added" in output
    assert not any(url.endswith("essay-05") for url in found())


def test_two_runs_train_one_adapter_once_and_the_second_says_whom_it_waits_for(graph: Graph) -> None:
    """Pools hold back runs of the daemon alone; `twin run` beside one shares its training folder."""
    before = graph.adapters()
    both = [graph.start("--select", "key:models/sft_adapter") for _ in range(2)]
    outputs = [ended(process, 0) for process in both]
    assert len(graph.adapters()) == len(before) + 1
    assert sorted("trained now True" in output for output in outputs) == [False, True]
    waited = next(output for output in outputs if "trained now True" not in output)
    assert "waiting for training of ada: held by twin run" in waited
    assert " since 20" in waited


def test_what_was_edited_and_deleted_comes_back_as_it_was(graph: Graph, undisturbed: dict[str, str]) -> None:
    graph.write()
    graph.run("--select", FEATURES)
    assert graph.versions() == undisturbed


def test_a_folder_that_is_suddenly_empty_stops_the_graph_and_deletes_nothing(graph: Graph) -> None:
    for number in range(1, ESSAYS):
        (graph.notes / f"essay-{number:02}.md").unlink()
    output = graph.fails("--select", "group:collect or group:clean")
    assert "nothing_vanished" in output
    assert Warehouse(graph.engine).counts("ada")["documents"] == ESSAYS
    graph.write()


@pytest.mark.browser
def test_a_person_sees_the_graph_materialised_in_dagster(graph: Graph, browser: Browser) -> None:
    (port,) = free_ports(1)
    binary = Path(sys.executable).with_name("dagster-webserver")
    process = subprocess.Popen(
        [str(binary), "-h", "127.0.0.1", "-p", str(port), "-w", str(ROOT / "workspace.yaml")],
        env=graph.environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            assert within(180, lambda: _loaded(client)), "Dagster did not load the graph"
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.goto(f"http://127.0.0.1:{port}/assets/models/sft_adapter?view=partitions&partition=ada")
        expect(page.get_by_text("sft_adapter").first).to_be_visible(timeout=60_000)
        expect(page.get_by_text("gain_over_base").or_(page.get_by_text("loss_curve")).first).to_be_visible(
            timeout=60_000
        )
        page.goto(f"http://127.0.0.1:{port}/asset-groups")
        for name in ("collect", "dataset", "train", "release"):
            expect(page.get_by_text(name, exact=True).first).to_be_visible(timeout=60_000)
        page.close()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _loaded(client: httpx.Client) -> bool:
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
    try:
        return bool(client.post("/graphql", json={"query": query}).json()["data"]["repositoriesOrError"]["nodes"])
    except (httpx.TransportError, KeyError, ValueError):
        return False
