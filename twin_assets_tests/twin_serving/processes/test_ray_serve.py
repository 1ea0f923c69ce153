"""The API on Ray Serve: replicas come and go with the load, and champions change, without a failed or mixed answer."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from benchmarks import gateway
from twin_assets_tests.support import site
from twin_assets_tests.support.processes import free_ports, within
from twin_assets_tests.support.ray_cluster import ENTRY, RayCluster, ray_cluster
from twin_resources.config.settings import Settings, SettingsError
from twin_resources.retrieval.embedder import Embedder
from twin_resources.storage.releases import Releases
from twin_serving.answering.readiness import Readiness
from twin_serving.processes.ray_serve import StartsReady, check_keys

pytestmark = pytest.mark.long
KEY = "of-a-test-0123456789"
GO_ON = {"model": "twin/ada", "messages": [{"role": "user", "content": "Go on."}], "use_rag": False}
READERS = 6
AUTHORS = """
authors:
- {id: ada, name: Ada Berg, consent: "These accounts are mine. 2026-11-21"}
- {id: bo, name: Bo Lind, consent: "These accounts are mine. 2026-11-21"}
"""


def test_without_keys_nothing_is_served() -> None:
    with pytest.raises(SettingsError, match="wherever Serve's proxies listen; set TWIN_API_KEYS"):
        check_keys(Settings())


@pytest.mark.parametrize(("engine_seconds", "states"), [(300.0, "dss!"), (0.0, "ds")])
def test_a_replica_has_started_when_it_answers(engine_seconds: float, states: str) -> None:
    """With its model, or, where that never comes, in quotations."""
    missing = {"d": ("database", "generator"), "s": ("generator",), "!": ()}
    parts = ("database", "migrations", "embedder", "generator")
    left, sent = deque(states), []

    def state() -> Readiness:
        assert not sent, "it was asked for after it had started"
        now = left.popleft()
        return Readiness.of({name: "loads" if name in missing[now] else None for name in parts}, {}, [])

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(StartsReady(inner, state, engine_seconds=engine_seconds)({"type": "lifespan"}, None, send))  # pyright: ignore[reportArgumentType]
    assert (sent, list(left)) == (["lifespan.startup.complete"], [])


@dataclass
class Readers:
    """What came of everything that was asked: versions that wrote whole answers, and what was wrong."""

    url: str
    versions: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    quoted: int = 0
    over: bool = False

    async def read(self, pause: float = 0.0) -> None:
        """Ask, again and again, for a quotation and for what the champion writes."""
        async with httpx.AsyncClient(
            base_url=self.url, timeout=120, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False
        ) as client:
            while not self.over:
                try:
                    self._take(await client.post("/v1/chat/completions", json=GO_ON))
                    asked = {"query": site.QUESTION, "author": "ada", "mode": "quote"}
                    self._take_quotation(await client.post("/ask", json=asked))
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                await asyncio.sleep(pause)

    def _take(self, response: httpx.Response) -> None:
        if response.status_code != 200:
            self.wrong.append(f"{response.status_code}: {response.text[:200]}")
            return
        found = response.json()
        version = found["model"].partition("@")[2]
        words = set(found["choices"][0]["message"]["content"].split())
        if words != {version}:
            self.wrong.append(f"{version} said {sorted(words)[:3]}")
        self.versions.append(version)

    def _take_quotation(self, response: httpx.Response) -> None:
        if response.status_code != 200 or not response.json()["citations"]:
            self.wrong.append(f"{response.status_code}: {response.text[:200]}")
        self.quoted += 1


@pytest.fixture
def serving(settings: Settings, embedder: Embedder, tmp_path: Path) -> Iterator[tuple[RayCluster, str, Releases]]:
    """The API on Serve with two adapters of Ada, the second of which is champion."""
    pytest.importorskip("ray.serve", reason='serving on Ray needs the extra: pip install "llm-twin[ray]"')
    database: sa.Engine = site.seed(settings, embedder)
    folder = tmp_path / "adapter"
    folder.mkdir()
    for version in ("ada-a", "ada-b"):
        (folder / "adapter_config.json").write_text(json.dumps({"name": version}), encoding="utf-8")
        site.add_adapter(settings, database, version, folder)
    releases = Releases(database)
    releases.approve("ada-b", by="test")
    config = tmp_path / "twin.yaml"
    config.write_text(AUTHORS, encoding="utf-8")
    assert settings.database_url
    (port,) = free_ports(1)
    with gateway.engine() as engine_port:
        told = {
            "TWIN_CONFIG": str(config),
            "TWIN_HOME": str(settings.home),
            "TWIN_DATABASE_URL": settings.database_url.get_secret_value(),
            "TWIN_ENGINE_URL": f"http://127.0.0.1:{engine_port}",
            "TWIN_API_KEYS": KEY,
            "TWIN_DAGSTER_PORT": "9",
            "TWIN_MLFLOW_PORT": "9",
            "TWIN_RAY__SERVE__MAX_REPLICAS": "2",
            "TWIN_RAY__SERVE__ONGOING_REQUESTS": "1",
            "TWIN_RAY__SERVE__UPSCALE_SECONDS": "1",
            "TWIN_RAY__SERVE__DOWNSCALE_SECONDS": "2",
            "TWIN_RAY__SERVE__CPUS": "0.25",
            "TWIN_RAY__SERVE__MEMORY_GIB": "0.1",
            "OMP_NUM_THREADS": "1",
            "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
            "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
        }
        with ray_cluster(cpus=4, **told) as cluster:
            deploy(cluster, port)
            yield cluster, f"http://127.0.0.1:{port}", releases
    database.dispose()


def deploy(cluster: RayCluster, port: int) -> None:
    """Have Serve run the application, as KubeRay does it, and wait until a replica answers."""
    wanted = {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [
            {"name": "twin", "route_prefix": "/", "import_path": "twin_serving.processes.ray_serve:app", "args": {}}
        ],
    }
    asked = httpx.put(
        f"{cluster.address}/api/serve/applications/", json=wanted, headers=ENTRY, trust_env=False, timeout=300
    )
    assert asked.status_code == 200, asked.text
    assert within(300, lambda: application(cluster).get("status") == "RUNNING"), application(cluster)


def application(cluster: RayCluster) -> dict[str, Any]:
    """What Serve says of the application."""
    found = httpx.get(f"{cluster.address}/api/serve/applications/", headers=ENTRY, trust_env=False, timeout=300).json()
    return found["applications"].get("twin", {})


def replicas(cluster: RayCluster) -> int:
    """How many take requests."""
    deployments = application(cluster).get("deployments", {})
    return sum(each["state"] == "RUNNING" for each in deployments.get("api", {}).get("replicas", ()))


async def until(condition: Any, seconds: float = 300.0) -> None:
    """Wait for something while readers go on."""
    end = asyncio.get_running_loop().time() + seconds
    while not await asyncio.to_thread(condition):
        assert asyncio.get_running_loop().time() < end, "it did not happen in time"
        await asyncio.sleep(0.1)


def test_replicas_follow_the_load_and_the_champion_without_a_failed_or_mixed_answer(
    serving: tuple[RayCluster, str, Releases],
) -> None:
    cluster, url, releases = serving
    readers, few = Readers(url), Readers(url)

    async def under_load() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(READERS):
                tasks.create_task(readers.read())
            await until(lambda: replicas(cluster) == 2)
            for version in ("ada-a", "ada-b"):
                await asyncio.to_thread(releases.approve, version, by="test")
                since = len(readers.versions)
                await until(lambda since=since: len(readers.versions) > since + 30)
                await until(lambda version=version: set(readers.versions[-30:]) == {version})
            readers.over = True

    async def afterwards() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(few.read(0.2))
            await until(lambda: replicas(cluster) == 1)
            seen = few.quoted
            await until(lambda: few.quoted > seen + 3)
            few.over = True

    assert httpx.get(f"{url}/documents", trust_env=False, timeout=60).status_code == 401, "it needs a key"
    assert replicas(cluster) == 1
    asyncio.run(under_load())
    asyncio.run(afterwards())
    assert readers.wrong == few.wrong == []
    assert set(readers.versions) == {"ada-a", "ada-b"}
    assert set(few.versions) == {"ada-b"}
    assert min(readers.quoted, few.quoted) > 3
