"""One author's work through the whole graph: real Postgres, real Dagster, real processes, real HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import yaml
from playwright.sync_api import Browser, expect

from twin_assets_tests.support import essays
from twin_assets_tests.support.tiny_models import TinyModels, shallow_embedder
from twin_assets_tests.support.watching import Watch
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_resources.database.schema import adapter
from twin_resources.database.schema import report as reports
from twin_resources.models import hub
from twin_resources.retrieval.search import Options, Search
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.releases import Releases
from twin_resources.storage.reports import Reports
from twin_resources.storage.warehouse import Warehouse
from twin_serving.processes.servers import environment, prepare_dagster

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[1]
ESSAYS = 24
FEATURES = "group:collect or group:clean or group:chunk or group:embed or group:dataset"


class World:
    """A home, a database and a folder of essays, and the commands a person would type."""

    def __init__(self, folder: Path, database_url: str | None, base: Path, embedding: Path) -> None:
        self.folder = folder
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
        essays.write(self.notes, ESSAYS, sections=2)

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


@pytest.fixture(scope="module")
def new_world(
    new_settings: Callable[..., Settings],
    tiny_models: Callable[[str], TinyModels],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., World]:
    packaged = new_settings()
    embedding = shallow_embedder(
        hub.resolve(packaged.models.embedding, packaged), tmp_path_factory.mktemp("embedding") / "shallow"
    )

    def make(*, embedded: bool = False) -> World:
        url = new_settings().database_url
        assert url
        folder = tmp_path_factory.mktemp("world")
        return World(folder, None if embedded else url.get_secret_value(), tiny_models("llama").base, embedding)

    return make


@pytest.fixture(scope="module")
def world(new_world: Callable[..., World]) -> Iterator[World]:
    """The whole graph, materialised once for all tests of this module."""
    made = new_world()
    made.first_output = made.run()  # pyright: ignore[reportAttributeAccessIssue]
    yield made
    made.engine.dispose()


@pytest.fixture(scope="module")
def undisturbed(world: World) -> dict[str, str]:
    """Content hashes of the essays as they were written first."""
    return world.versions()


@pytest.fixture
def api(world: World) -> Iterator[httpx.Client]:
    """The API as a process of its own on a free port."""
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "twin_serving.cli", "serve-api"],
        env={**world.environment, "TWIN_API_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _until(lambda: _answers(client), 180, "the API did not get ready")
            yield client
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(client: httpx.Client) -> bool:
    """Whether the API answers questions; search comes up before the language model."""
    try:
        return client.post("/ask", json={"query": "Ready?", "mode": "write", "max_tokens": 1}).status_code == 200
    except httpx.TransportError:
        return False


def _until(done: Callable[[], Any], seconds: float, otherwise: str) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)


def test_the_graph_makes_a_champion_from_a_folder_of_essays(world: World, undisturbed: dict[str, str]) -> None:
    assert Warehouse(world.engine).counts("ada")["clean_documents"] == ESSAYS
    assert len(undisturbed) == 6
    (version,) = world.adapters()
    assert world.champion() == version
    release = Releases(world.engine).get(version)
    assert release.metrics["validation_loss"] < release.metrics["validation_loss_base"]
    assert release.gate["passed"]


def test_a_whole_graph_asks_for_nothing_beyond_this_machine(world: World) -> None:
    """What the servers beside it ask for is watched in ``test_web_interfaces.py``."""
    assert world.watch.saw("twin_assets.run")
    assert world.watch.saw("job"), "what trains and measures"
    assert world.watch.elsewhere() == []


def test_a_reranker_learns_from_the_authors_questions_and_serves_only_if_it_gains(
    world: World, api: httpx.Client
) -> None:
    report = Reports(world.engine).newest("ada", "reranker")
    assert report
    metrics = report.metrics
    assert all(metrics["questions"][part] > 0 for part in ("train", "validation", "test"))
    assert metrics["steps"] == 8
    assert metrics["released"] == (metrics["confidence"] > 0.95)
    body = {"query": "Why the harbour needs a rope", "k": 3}
    plain = api.post("/search", json=body).json()
    assert (plain["reranker"] is not None) == metrics["released"]
    folder = ArtifactStore.of(world.settings).folder(report.artifact)
    assert 0 <= json.loads((folder / "blend.json").read_text())["weight"] <= 1
    with world.engine.begin() as session:
        released = {**metrics, "released": True}
        session.execute(sa.update(reports).where(reports.c.id == report.id).values(metrics=released))
    _until(lambda: api.post("/search", json=body).json()["reranker"], 30, "the released re-ranker is not used")
    ranked = api.post("/search", json=body).json()
    assert ranked["reranker"].startswith("ada-reranker-")
    assert {hit["chunk_id"] for hit in ranked["results"]} & {hit["chunk_id"] for hit in plain["results"]}
    assert all("rerank" in hit["scores"] for hit in ranked["results"])
    with world.engine.begin() as session:
        session.execute(sa.update(reports).where(reports.c.id == report.id).values(metrics=metrics))


def test_running_again_does_nothing_again(world: World, undisturbed: dict[str, str]) -> None:
    output = world.run()
    assert world.versions() == undisturbed
    assert len(world.adapters()) == 1
    assert "embedded now" not in output
    assert "trained now" not in output


def test_an_answer_leads_back_to_its_documents_and_a_document_to_its_adapters(
    world: World, undisturbed: dict[str, str], api: httpx.Client
) -> None:
    found = api.post("/search", json={"query": "why the anchor needs a rope", "k": 3}).json()
    assert len(found["results"]) == 3
    assert found["reranker"] is None
    url = found["results"][0]["url"]
    assert url.startswith("https://ada.example/essay-")
    answer = api.post(
        "/ask", json={"query": "Why does the anchor need a rope?", "mode": "write", "max_tokens": 40}
    ).json()
    assert answer["model"]["adapter"] == world.champion()
    back = api.get("/lineage", params={"trace_id": answer["trace_id"]}).json()
    assert back["adapter"]["version"] == world.champion()
    assert back["adapter"]["dataset"]["id"] == undisturbed["instruct"]
    trained_on = [document["url"] for document in back["adapter"]["dataset"]["documents"]]
    forward = api.get("/lineage", params={"url": trained_on[0]}).json()
    assert [found["version"] for found in forward["documents"][0]["adapters"]] == [world.champion()]


def test_an_edit_and_a_deletion_move_through_everything_and_touch_nothing_else(
    world: World, undisturbed: dict[str, str]
) -> None:
    search = Search(world.engine, world.settings.models.embedding)
    query = "Why the " + essays.essay(5, 2).split("## Why the ")[1].split("\n")[0]

    def found() -> list[str]:
        return [hit.url for hit in search.find("ada", query, None, k=50, options=Options("lexical"))]

    assert any(url.endswith("essay-05") for url in found()[:5])
    edited = world.notes / "essay-03.md"
    edited.write_text(
        edited.read_text().replace("##", "A sentence that stood nowhere before.\n\n##", 1), encoding="utf-8"
    )
    (world.notes / "essay-05.md").unlink()
    output = world.run("--select", FEATURES)
    after = world.versions()
    assert all(after[stage] != undisturbed[stage] for stage in ("raw", "clean", "chunks", "embeddings", "instruct"))
    assert "embedded now 1," in output, "only the passage that changed is embedded"
    assert "passages added" in output
    assert not any(url.endswith("essay-05") for url in found())


def test_two_runs_train_one_adapter_once_and_the_second_says_whom_it_waits_for(world: World) -> None:
    """Pools hold back runs of the daemon alone; `twin run` beside one shares its training folder."""
    before = world.adapters()
    both = [world.start("--select", "key:models/sft_adapter") for _ in range(2)]
    outputs = [ended(process, 0) for process in both]
    assert len(world.adapters()) == len(before) + 1
    assert sorted("trained now True" in output for output in outputs) == [False, True]
    waited = next(output for output in outputs if "trained now True" not in output)
    assert "waiting for training of ada: held by twin run" in waited
    assert " since 20" in waited


def test_what_was_edited_and_deleted_comes_back_as_it_was(world: World, undisturbed: dict[str, str]) -> None:
    world.write()
    world.run("--select", FEATURES)
    assert world.versions() == undisturbed


def test_a_folder_that_is_suddenly_empty_stops_the_graph_and_deletes_nothing(world: World) -> None:
    for number in range(1, ESSAYS):
        (world.notes / f"essay-{number:02}.md").unlink()
    output = world.fails("--select", "group:collect or group:clean")
    assert "nothing_vanished" in output
    assert Warehouse(world.engine).counts("ada")["documents"] == ESSAYS
    world.write()


@pytest.mark.browser
def test_a_person_sees_the_graph_materialised_in_dagster(world: World, browser: Browser) -> None:
    port = _free_port()
    binary = Path(sys.executable).with_name("dagster-webserver")
    process = subprocess.Popen(
        [str(binary), "-h", "127.0.0.1", "-p", str(port), "-w", str(ROOT / "workspace.yaml")],
        env=world.environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            _until(lambda: _loaded(client), 180, "Dagster did not load the graph")
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


def test_a_source_that_fails_keeps_nothing_else_from_being_built(new_world: Callable[..., World]) -> None:
    other = new_world()
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
    new_world: Callable[..., World], undisturbed: dict[str, str]
) -> None:
    other = new_world(embedded=True)
    warehouse = Warehouse(other.engine)
    index = VectorIndex(other.engine, other.settings.models.embedding)
    wanted = ("--select", '+key:"models/sft_adapter" or key:"datasets/retrieval" or group:embed')

    def kill_run(moment: Callable[[], Any], what: str) -> None:
        process = other.start(*wanted)
        _until(lambda: moment() or process.poll() is not None, 300, f"the run never got to {what}")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    try:
        kill_run(lambda: warehouse.counts("ada")["documents"], "documents")
        kill_run(lambda: warehouse.counts("ada")["chunks"], "passages")
        process = other.start(*wanted)
        _until(lambda: index.count("ada") or process.poll() is not None, 300, "the run never got to vectors")
        postmaster = postgres.pid(other.settings.postgres)
        assert postmaster
        os.kill(postmaster, signal.SIGKILL)
        ended(process, 1, 300)
        postgres.prepare(other.settings.postgres)
        checkpoints = other.folder / "home" / "training"
        kill_run(lambda: list(checkpoints.glob("*/checkpoints/checkpoint-*/trainer_state.json")), "a checkpoint")
        assert other.adapters() == []
        other.run(*wanted)
        assert other.versions() == undisturbed
        (version,) = other.adapters()
        assert Releases(other.engine).get(version).metrics["resumed"] is True
    finally:
        other.engine.dispose()
        postgres.stop(other.settings.postgres)
