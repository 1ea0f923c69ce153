"""The API on Ray Serve as readers see it: how it is deployed, what they ask, and what was wrong with what they got."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from benchmarks import gateway
from twin_assets_tests.support import site
from twin_assets_tests.support.processes import within
from twin_assets_tests.support.ray_cluster import ENTRY, RayCluster
from twin_resources.config.settings import Settings
from twin_resources.network.authorities import authorities
from twin_resources.storage.releases import Releases

KEY = "of-a-test-0123456789"
AUTHORS = """
authors:
- {id: ada, name: Ada Berg, consent: "These accounts are mine. 2026-11-21"}
- {id: bo, name: Bo Lind, consent: "These accounts are mine. 2026-11-21"}
"""
VERSIONS = ("ada-a", "ada-b")
"""Adapters of Ada; an answer that one of them writes is its name, again and again."""
_ENTRY = {"Authorization": f"Bearer {KEY}"}
_GO_ON = {"model": "twin/ada", "messages": [{"role": "user", "content": "Go on."}], "use_rag": False}
_QUOTE = {"query": site.QUESTION, "author": "ada", "mode": "quote"}


@dataclass
class Readers:
    """What came of everything that was asked: versions that wrote whole answers, and what was wrong.

    Attributes:
        seconds: from question to answer, of each.
    """

    url: str
    versions: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    quoted: int = 0
    over: bool = False

    async def read(self, pause: float = 0.0) -> None:
        """Ask, again and again, for a quotation and for what the champion writes."""
        async with httpx.AsyncClient(base_url=self.url, timeout=120, headers=_ENTRY, trust_env=False) as client:
            while not self.over:
                for path, asked, take in (
                    ("/v1/chat/completions", _GO_ON, self._take),
                    ("/ask", _QUOTE, self._take_quotation),
                ):
                    began = time.monotonic()
                    try:
                        take(await client.post(path, json=asked))
                    except httpx.HTTPError as error:
                        self.wrong.append(repr(error))
                    self.seconds.append(time.monotonic() - began)
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


def two_adapters(settings: Settings, database: sa.Engine, folder: Path) -> dict[str, str]:
    """Both :data:`VERSIONS` of Ada, of which the second is champion; the environment of nodes that serve them."""
    folder.mkdir()
    for version in VERSIONS:
        (folder / "adapter_config.json").write_text(json.dumps({"name": version}), encoding="utf-8")
        site.add_adapter(settings, database, version, folder)
    Releases(database).approve(VERSIONS[-1], by="test")
    return {
        "TWIN_API_KEYS": KEY,
        "TWIN_DAGSTER_PORT": "9",
        "TWIN_MLFLOW_PORT": "9",
        "OMP_NUM_THREADS": "1",
        "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
        "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
    }


@contextmanager
def engine_of_two(settings: Settings, database: sa.Engine, folder: Path) -> Iterator[Mapping[str, str]]:
    """An engine, and :func:`two_adapters`; the environment of nodes that ask that engine."""
    told = two_adapters(settings, database, folder)
    with gateway.engine() as port:
        yield {**told, "TWIN_ENGINE_URL": f"http://127.0.0.1:{port}"}


def deploy(cluster: RayCluster, port: int, **environment: str) -> None:
    """Have Serve run the application, as KubeRay does it.

    Args:
        environment: of its replicas, beside that of their nodes.
    """
    wanted = {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [
            {
                "name": "twin",
                "route_prefix": "/",
                "import_path": "twin_serving.processes.ray_serve:app",
                "args": {},
                "runtime_env": {"env_vars": environment},
            }
        ],
    }
    asked = httpx.put(
        f"{cluster.address}/api/serve/applications/", json=wanted, headers=ENTRY, trust_env=False, timeout=300
    )
    assert asked.status_code == 200, asked.text


def is_up(cluster: RayCluster) -> bool:
    """Whether a replica answers, within five minutes."""
    assert within(300, lambda: application(cluster).get("status") == "RUNNING"), application(cluster)
    return True


def application(cluster: RayCluster) -> dict[str, Any]:
    """What Serve says of the application."""
    options = {"headers": ENTRY, "trust_env": False, "verify": authorities(), "timeout": 300}
    found = httpx.get(f"{cluster.address}/api/serve/applications/", **options).json()
    return found["applications"].get("twin", {})


def replicas(cluster: RayCluster, deployment: str = "api") -> dict[str, dict[str, Any]]:
    """Those that run, each with what Serve says of it."""
    deployments = application(cluster).get("deployments", {})
    every = deployments.get(deployment, {}).get("replicas", ())
    return {each["replica_id"]: each for each in every if each["state"] == "RUNNING"}


def take_down(cluster: RayCluster) -> None:
    """Have Serve stop everything; it goes on with that by itself."""
    asked = httpx.delete(f"{cluster.address}/api/serve/applications/", headers=ENTRY, trust_env=False, timeout=300)
    assert asked.status_code == 200, asked.text


async def until(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """Wait for something while readers go on."""
    end = asyncio.get_running_loop().time() + seconds
    while not await asyncio.to_thread(condition):
        assert asyncio.get_running_loop().time() < end, "it did not happen in time"
        await asyncio.sleep(0.1)
