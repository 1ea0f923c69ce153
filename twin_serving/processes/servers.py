"""What our servers are: their commands, addresses and environment. Starting and watching them is the supervisor's."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from twin_resources.config.settings import Settings, SettingsError
from twin_resources.database.postgres import Databases
from twin_resources.network.authorities import authorities

ROOT = Path(__file__).resolve().parents[2]
"""Where modules are found."""
_HERE = Path(__file__).resolve().parent
_SHIPPED = _HERE if (_HERE / "dagster.yaml").exists() else ROOT
"""Where our ``workspace.yaml`` and ``dagster.yaml`` lie: here in an installed package, at the top of a checkout."""

LOOPBACK = "127.0.0.1"
_INTERFACES = (sys.executable, "-m", "twin_serving.processes.web_interfaces")
RESTARTS = 3
"""How often a server is started again when it died."""


@dataclass(frozen=True)
class Server:
    """One server: how to start it and how to see that it answers."""

    name: str
    title: str
    command: tuple[str, ...]
    port: int | None = None
    host: str = LOOPBACK
    health: str = "/"
    setting: str = ""
    needs: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    restarts: int = 0
    start_seconds: float = 180.0
    """So long it may take until it answers."""
    answer_seconds: float = 2.0
    """So long its health URL may take to answer."""

    @property
    def url(self) -> str | None:
        """Where a person opens it."""
        shown = LOOPBACK if self.host in ("0.0.0.0", "::") else self.host
        shown = f"[{shown}]" if ":" in shown else shown
        return f"http://{shown}:{self.port}" if self.port else None

    def answers(self) -> bool:
        """Whether its health URL answers without an error."""
        if self.url is None:
            return False
        try:
            asked = httpx.get(
                f"{self.url}{self.health}", timeout=self.answer_seconds, trust_env=False, verify=authorities()
            )
            return asked.status_code < 500
        except httpx.HTTPError:
            return False


FRUGAL: Mapping[str, str] = {"OMP_WAIT_POLICY": "PASSIVE", "MALLOC_ARENA_MAX": "2"}
"""How our processes go about cores and memory, unless the user says otherwise. Threads of OpenMP that wait for one
another sleep: by default they spin, and beside other work take the cores from the very threads that they wait for. And
glibc serves all threads from two arenas instead of eight a core, each of which keeps what was freed in it: the API of
two cores grew for 26,000 questions."""


def environment(settings: Settings, databases: Databases) -> dict[str, str]:
    """The environment of every process we start: the same settings, Dagster's home, and nobody told about our use."""
    values = {
        **FRUGAL,
        **os.environ,
        "DAGSTER_HOME": str(settings.home / "dagster"),
        "TWIN_HOME": str(settings.home),
        "TWIN_DAGSTER_DATABASE_URL": databases.dagster.render_as_string(hide_password=False),
        "TWIN_DAGSTER_PORT": str(settings.dagster_port),
        "TWIN_API_PORT": str(settings.api_port),
        "TWIN_MLFLOW_PORT": str(settings.mlflow_port),
        "TWIN_MLFLOW_URL": settings.mlflow_url or f"http://{LOOPBACK}:{settings.mlflow_port}",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))),
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DISABLE_TELEMETRY": "1",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    if settings.config:
        values["TWIN_CONFIG"] = str(settings.config.absolute())
    return values


def prepare_dagster(settings: Settings) -> Path:
    """Make ``DAGSTER_HOME`` with the ``dagster.yaml`` of ``dagster_folder``, or ours; returns the folder.

    Raises:
        SettingsError: ``TWIN_DAGSTER_FOLDER`` names a folder without one.
    """
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    target, source = home / "dagster.yaml", _configuration(settings) / "dagster.yaml"
    if not source.exists():
        raise SettingsError(f"{source} does not exist; name a folder that has it in TWIN_DAGSTER_FOLDER, or none")
    if not target.exists() or target.read_bytes() != source.read_bytes():
        staging = home / f".dagster.yaml.{os.getpid()}"
        shutil.copyfile(source, staging)
        os.replace(staging, target)
    return home


def list_servers(
    settings: Settings,
    databases: Databases | None = None,
    *,
    host: str = "",
    engine: bool = True,
    engine_key: str = "",
    code_server: str = "",
) -> dict[str, Server]:
    """Every server by name.

    Args:
        databases: needed to start them, not to ask whether they are there.
        host: the address of Dagster's and MLflow's, this machine alone by default.
        engine: False for an API that only searches and loads no language model.
        engine_key: what the API asks the SGLang with that is started beside it; empty where none is.
        code_server: ``host:port`` of a worker that holds the graph; by default each server loads it itself.
    """
    inside = host or LOOPBACK
    graph = _graph(settings, code_server)
    found = (
        _api(settings, engine, engine_key),
        _webserver(settings, inside, graph),
        _mlflow(settings, inside, databases),
        Server(
            "daemon", "Dagster daemon", (_binary("dagster-daemon"), "run", *graph), needs="dagster", restarts=RESTARTS
        ),
    )
    named = {server.name: server for server in found}
    starts = bool(settings.engine.python) and not settings.engine_urls
    return {**named, "engine": _engine(settings, engine_key)} if engine_key or starts else named


def worker_command(host: str = "") -> tuple[str, ...]:
    """The command of a worker that holds the graph, for containers: the ``code_server`` of :func:`list_servers`."""
    command = (sys.executable, "-m", "dagster", "api", "grpc", "-h", host or LOOPBACK, "-p", "4000")
    return (*command, "-m", "twin_assets.definitions", "-d", str(ROOT))


def _configuration(settings: Settings) -> Path:
    """The folder of ``dagster.yaml`` and ``workspace.yaml``."""
    return settings.dagster_folder or _SHIPPED


def _graph(settings: Settings, code_server: str) -> tuple[str, ...]:
    """The options of Dagster's programs that say where the graph is."""
    if not code_server:
        return ("-w", str(_configuration(settings) / "workspace.yaml"))
    worker, _, port = code_server.rpartition(":")
    return ("--grpc-host", worker, "--grpc-port", port)


def _binary(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _engine(settings: Settings, key: str) -> Server:
    return Server(
        name="engine",
        title="SGLang engine",
        command=(sys.executable, "-m", "twin_serving.cli", "serve-engine"),
        port=settings.engine_port,
        health="/health_generate",  # writes a token, and takes a second for that
        setting="TWIN_ENGINE_PORT",
        environment={"TWIN_ENGINE_KEY": key} if key else {},
        restarts=RESTARTS,
        start_seconds=settings.engine.start_minutes * 60 + 30,
        answer_seconds=5.0,
    )


def _api(settings: Settings, engine: bool, engine_key: str) -> Server:
    asked = {"TWIN_ENGINE_URL": f"http://{LOOPBACK}:{settings.engine_port}", "TWIN_ENGINE_KEY": engine_key}
    return Server(
        name="api",
        title="API and chat page",
        command=(sys.executable, "-m", "twin_serving.cli", "serve-api", *([] if engine else ["--no-engine"])),
        port=settings.api_port,
        host=settings.host,
        health="/healthz",
        setting="TWIN_API_PORT",
        needs="starlette",
        environment=asked if engine_key else {},
        restarts=RESTARTS,
    )


def _webserver(settings: Settings, host: str, graph: tuple[str, ...]) -> Server:
    return Server(
        name="dagster",
        title="Dagster UI",
        command=(*_INTERFACES, "dagster", "-h", host, "-p", str(settings.dagster_port), *graph),
        port=settings.dagster_port,
        host=host,
        health="/server_info",
        setting="TWIN_DAGSTER_PORT",
        needs="dagster_webserver",
        restarts=RESTARTS,
    )


def _mlflow(settings: Settings, host: str, databases: Databases | None) -> Server:
    variables = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    if databases is not None:
        # Not on the command line: `ps` shows that to everybody, and the URL may hold a password.
        variables["MLFLOW_BACKEND_STORE_URI"] = databases.mlflow.render_as_string(hide_password=False)
    return Server(
        name="mlflow",
        title="MLflow UI",
        command=(
            *(*_INTERFACES, "mlflow", "--host", host, "--port", str(settings.mlflow_port)),
            *("--artifacts-destination", str(settings.home / "mlflow")),
        ),
        port=settings.mlflow_port,
        host=host,
        health="/health",
        setting="TWIN_MLFLOW_PORT",
        needs="mlflow",
        environment=variables,
        restarts=RESTARTS,
    )


def port_in_use(host: str, port: int) -> bool:
    """Whether this port cannot be bound now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
