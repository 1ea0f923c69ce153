"""The API on Ray Serve: replicas and engines come and go, and champions change, without a failed or mixed answer."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from twin_assets_tests.support import sglang_server, site
from twin_assets_tests.support.processes import alive, free_ports, within
from twin_assets_tests.support.ray_cluster import RayCluster, ray_cluster
from twin_assets_tests.support.ray_serving import (
    AUTHORS,
    VERSIONS,
    Readers,
    application,
    deploy,
    is_up,
    replicas,
    take_down,
    two_adapters,
    until,
)
from twin_resources.config.settings import Settings, SettingsError
from twin_resources.retrieval.embedder import Embedder
from twin_resources.storage.releases import Releases
from twin_serving.answering.readiness import Readiness
from twin_serving.processes.ray_engines import engine_key
from twin_serving.processes.ray_serve import StartsReady, check_keys

pytestmark = pytest.mark.long
READERS = 6


def test_without_keys_nothing_is_served() -> None:
    with pytest.raises(SettingsError, match="wherever Serve's proxies listen; set TWIN_API_KEYS"):
        check_keys(Settings())
    with pytest.raises(SettingsError, match="listen at the addresses of their nodes; set TWIN_ENGINE_KEY"):
        engine_key(Settings(engine_key=SecretStr("")))  # pyright: ignore[reportCallIssue]


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
    told = {
        **two_adapters(settings, database, tmp_path / "adapter"),
        "TWIN_CONFIG": str(config),
        "TWIN_HOME": str(settings.home),
        "TWIN_DATABASE_URL": settings.database_url.get_secret_value(),
        "TWIN_ENGINE_KEY": "of-these-engines-0123456789",
        "TWIN_RAY__SERVE__MAX_REPLICAS": "2",
        "TWIN_RAY__SERVE__ONGOING_REQUESTS": "1",
        "TWIN_RAY__SERVE__UPSCALE_SECONDS": "1",
        "TWIN_RAY__SERVE__DOWNSCALE_SECONDS": "2",
        "TWIN_RAY__SERVE__EMBEDDERS": "1",
        "TWIN_RAY__SERVE__EMBEDDER_CPUS": "0.25",
        "TWIN_RAY__SERVE__CPUS": "0.25",
        "TWIN_RAY__SERVE__MEMORY_GIB": "0.1",
        "TWIN_RAY__SERVE__ENGINES__REPLICAS": "1",
        "TWIN_RAY__SERVE__ENGINES__MAX_REPLICAS": "2",
        "TWIN_RAY__SERVE__ENGINES__ONGOING_REQUESTS": "0.01",
        "TWIN_RAY__SERVE__ENGINES__UPSCALE_SECONDS": "0",
        "TWIN_RAY__SERVE__ENGINES__PYTHON": str(sglang_server.interpreter(tmp_path)),
        "TWIN_RAY__SERVE__ENGINES__MODEL": "tiny",
        "TWIN_RAY__SERVE__ENGINES__GPUS": "0",
        "TWIN_RAY__SERVE__ENGINES__CPUS": "0.25",
        "TWIN_RAY__SERVE__ENGINES__MEMORY_GIB": "0.1",
        "TWIN_RAY__SERVE__ENGINES__CHECK_SECONDS": "0.5",
        "TWIN_RAY__SERVE__ENGINES__DRAIN_SECONDS": "0",
    }
    with ray_cluster(cpus=4, **told) as cluster:
        (port,) = free_ports(1)  # not before: Ray's processes take many
        deploy(cluster, port)
        assert is_up(cluster)
        yield cluster, f"http://127.0.0.1:{port}", Releases(database)
    database.dispose()


def test_replicas_and_engines_follow_the_load_and_the_champion_without_a_failed_or_mixed_answer(
    serving: tuple[RayCluster, str, Releases], tmp_path: Path
) -> None:
    cluster, url, releases = serving
    readers, few = Readers(url), Readers(url)

    def answering() -> set[int]:
        """Engines that were asked for an answer."""
        return {
            engine for engine, asked in sglang_server.journal(tmp_path).items() if any("answer" in it for it in asked)
        }

    async def under_load() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(READERS):
                tasks.create_task(readers.read())
            await until(lambda: len(replicas(cluster)) == 2)
            await until(lambda: len(answering()) == 2)
            os.kill(min(answering()), signal.SIGKILL)
            await until(lambda: len(answering()) == 3)
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
    assert len(replicas(cluster)) == len(replicas(cluster, "engine")) == 1
    assert set(application(cluster)["deployments"]) == {"api", "embedder", "engine"}
    asyncio.run(under_load())
    asyncio.run(afterwards())
    broken = [each for each in readers.wrong if "broke off" in each]
    assert len(broken) <= READERS, "what the engine that was killed had begun to write"
    assert [each for each in readers.wrong if each not in broken] == few.wrong == []
    assert set(readers.versions) == set(VERSIONS)
    assert set(few.versions) == {"ada-b"}
    assert min(readers.quoted, few.quoted) > 3
    for engine, asked in sglang_server.journal(tmp_path).items():
        for at, (what, adapter) in enumerate(asked):
            assert what != "answer" or ("load", adapter) in asked[:at], f"{engine} was asked for {adapter} too early"
    _end_with_their_replicas(cluster, tmp_path)


def _end_with_their_replicas(cluster: RayCluster, folder: Path) -> None:
    """An engine whose replica is killed, and one whose replica is told to stop."""
    found = replicas(cluster, "engine").values()
    assert len(found) == 2
    assert len([each for each in alive(folder).values() if "--model-path=tiny" in each]) >= 2
    os.kill(next(iter(found))["pid"], signal.SIGKILL)
    take_down(cluster)
    assert within(60, lambda: not alive(folder)), alive(folder)
