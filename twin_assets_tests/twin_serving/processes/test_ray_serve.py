"""The API on Ray Serve: replicas come and go with the load, and champions change, without a failed or mixed answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support import site
from twin_assets_tests.support.processes import free_ports
from twin_assets_tests.support.ray_cluster import RayCluster, ray_cluster
from twin_assets_tests.support.ray_serving import (
    AUTHORS,
    VERSIONS,
    Readers,
    application,
    deploy,
    engine_of_two,
    is_up,
    replicas,
    until,
)
from twin_resources.config.settings import Settings, SettingsError
from twin_resources.retrieval.embedder import Embedder
from twin_resources.storage.releases import Releases
from twin_serving.answering.readiness import Readiness
from twin_serving.processes.ray_serve import StartsReady, check_keys

pytestmark = pytest.mark.long
READERS = 6


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


@pytest.fixture
def serving(settings: Settings, embedder: Embedder, tmp_path: Path) -> Iterator[tuple[RayCluster, str, Releases]]:
    """The API on Serve with two adapters of Ada, the second of which is champion."""
    pytest.importorskip("ray.serve", reason='serving on Ray needs the extra: pip install "llm-twin[ray]"')
    database: sa.Engine = site.seed(settings, embedder)
    config = tmp_path / "twin.yaml"
    config.write_text(AUTHORS, encoding="utf-8")
    assert settings.database_url
    (port,) = free_ports(1)
    with engine_of_two(settings, database, tmp_path / "adapter") as told:
        told = {
            **told,
            "TWIN_CONFIG": str(config),
            "TWIN_HOME": str(settings.home),
            "TWIN_DATABASE_URL": settings.database_url.get_secret_value(),
            "TWIN_RAY__SERVE__MAX_REPLICAS": "2",
            "TWIN_RAY__SERVE__ONGOING_REQUESTS": "1",
            "TWIN_RAY__SERVE__UPSCALE_SECONDS": "1",
            "TWIN_RAY__SERVE__DOWNSCALE_SECONDS": "2",
            "TWIN_RAY__SERVE__EMBEDDERS": "1",
            "TWIN_RAY__SERVE__EMBEDDER_CPUS": "0.25",
            "TWIN_RAY__SERVE__CPUS": "0.25",
            "TWIN_RAY__SERVE__MEMORY_GIB": "0.1",
        }
        with ray_cluster(cpus=4, **told) as cluster:
            deploy(cluster, port)
            assert is_up(cluster)
            yield cluster, f"http://127.0.0.1:{port}", Releases(database)
    database.dispose()


def test_replicas_follow_the_load_and_the_champion_without_a_failed_or_mixed_answer(
    serving: tuple[RayCluster, str, Releases],
) -> None:
    cluster, url, releases = serving
    readers, few = Readers(url), Readers(url)

    async def under_load() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(READERS):
                tasks.create_task(readers.read())
            await until(lambda: len(replicas(cluster)) == 2)
            for version in ("ada-a", "ada-b"):
                await asyncio.to_thread(releases.approve, version, by="test")
                since = len(readers.versions)
                await until(lambda since=since: len(readers.versions) > since + 30)
                await until(lambda version=version: set(readers.versions[-30:]) == {version})
            readers.over = True

    async def afterwards() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(few.read(0.2))
            await until(lambda: len(replicas(cluster)) == 1)
            seen = few.quoted
            await until(lambda: few.quoted > seen + 3)
            few.over = True

    assert httpx.get(f"{url}/documents", trust_env=False, timeout=60).status_code == 401, "it needs a key"
    assert len(replicas(cluster)) == 1
    assert set(application(cluster)["deployments"]) == {"api", "embedder"}
    asyncio.run(under_load())
    asyncio.run(afterwards())
    assert readers.wrong == few.wrong == []
    assert set(readers.versions) == set(VERSIONS)
    assert set(few.versions) == {"ada-b"}
    assert min(readers.quoted, few.quoted) > 3
