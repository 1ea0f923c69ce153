"""What our servers are told: addresses, paths and no password."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from twin_assets_tests.support.processes import external
from twin_resources.config.settings import Settings, SettingsError
from twin_resources.database import postgres
from twin_resources.database.postgres import Databases
from twin_serving.processes.servers import (
    FRUGAL,
    ROOT,
    Server,
    environment,
    list_servers,
    port_in_use,
    prepare_dagster,
    worker_command,
)


def test_processes_get_absolute_paths_and_no_password_on_the_command_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Databases(postgres.make_url("postgresql://ada:s3cret@127.0.0.1/twin"))
    monkeypatch.chdir(home)
    settings = Settings(config=Path("twin.yaml"), home=Path("state"))
    variables = environment(settings, found)
    assert variables["DAGSTER_HOME"] == str(home / "state" / "dagster")
    assert variables["TWIN_CONFIG"] == str(home / "twin.yaml")
    assert variables["TWIN_DAGSTER_DATABASE_URL"] == "postgresql+psycopg2://ada:s3cret@127.0.0.1/dagster"
    servers = list_servers(settings, found)
    assert servers["mlflow"].environment["MLFLOW_BACKEND_STORE_URI"].endswith("ada:s3cret@127.0.0.1/mlflow")
    assert all("s3cret" not in " ".join(server.command) for server in servers.values())
    assert {server.host for server in servers.values()} == {"127.0.0.1"}


def test_processes_are_frugal_unless_the_user_says_otherwise(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Databases(postgres.make_url("postgresql://127.0.0.1/twin"))
    for name in FRUGAL:
        monkeypatch.delenv(name, raising=False)
    assert environment(Settings(home=home), found).items() >= FRUGAL.items()
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert environment(Settings(home=home), found)["OMP_WAIT_POLICY"] == "ACTIVE"


def test_dagster_takes_our_dagster_yaml_as_it_is(home: Path, server: Settings) -> None:
    settings = external(home, server)
    found = postgres.prepare(settings.postgres)
    folder = prepare_dagster(settings)
    script = (
        "import dagster as dg, json\n"
        "with dg.DagsterInstance.get() as it:\n"
        "    pools = it.get_concurrency_config()\n"
        "    print(json.dumps([type(it.event_log_storage).__name__, type(it.run_launcher).__name__,\n"
        "        str(pools.pool_config.pool_granularity),\n"
        "        pools.pool_config.default_pool_limit, pools.run_queue_config.max_concurrent_runs,\n"
        "        it.run_monitoring_enabled, it.get_settings('run_monitoring')['free_slots_after_run_end_seconds'],\n"
        "        it.run_retries_enabled, it.get_settings('run_retries')['retry_on_asset_or_op_failure'],\n"
        "        it.telemetry_enabled, it.root_directory]))\n"
    )
    variables = environment(settings, found)
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        *(
            "PostgresEventLogStorage",
            "TwinRunLauncher",
            "PoolGranularity.RUN",
            1,
            4,
            True,
            5,
            True,
            False,
            False,
            str(folder),
        ),
    ]


def test_another_folder_may_say_where_runs_and_the_graph_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = home / "elsewhere"
    monkeypatch.setenv("TWIN_DAGSTER_FOLDER", str(elsewhere))
    settings = Settings(home=home / "state")
    with pytest.raises(SettingsError, match=f"{elsewhere}.*TWIN_DAGSTER_FOLDER"):
        prepare_dagster(settings)
    elsewhere.mkdir()
    (elsewhere / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert (prepare_dagster(settings) / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"
    for name in ("dagster", "daemon"):
        assert list_servers(settings)[name].command[-2:] == ("-w", str(elsewhere / "workspace.yaml"))


def test_a_worker_holds_the_graph_for_the_other_servers() -> None:
    settings = Settings(dagster_port=3100)
    known = list_servers(settings, host="0.0.0.0", code_server="worker:4000")
    for name in ("dagster", "daemon"):
        assert " ".join(known[name].command).endswith("--grpc-host worker --grpc-port 4000")
    assert known["dagster"].url == "http://127.0.0.1:3100"
    assert worker_command("0.0.0.0")[-6:] == ("-p", "4000", "-m", "twin_assets.definitions", "-d", str(ROOT))


def test_an_api_without_an_engine_is_started_without_one() -> None:
    assert "--no-engine" in list_servers(Settings(), engine=False)["api"].command
    assert "--no-engine" not in list_servers(Settings())["api"].command


def test_a_port_is_in_use_while_somebody_listens() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert port_in_use("127.0.0.1", port)
        assert Server("web", "web", ("x",), port, answer_seconds=0.2).answers() is False
    assert not port_in_use("127.0.0.1", port)


def test_an_engine_that_is_started_is_asked_by_the_api_alone_with_a_key_that_no_command_shows() -> None:
    known = list_servers(Settings(engine_port=31_000), engine_key="s3cret")
    assert known["api"].environment == {"TWIN_ENGINE_URL": "http://127.0.0.1:31000", "TWIN_ENGINE_KEY": "s3cret"}
    assert known["engine"].environment == {"TWIN_ENGINE_KEY": "s3cret"}
    assert known["engine"].url == "http://127.0.0.1:31000"
    assert not [each.name for each in known.values() if "s3cret" in " ".join(each.command)]
    others = [each for name, each in known.items() if name not in ("api", "engine")]
    assert not [each.name for each in others if "TWIN_ENGINE_KEY" in each.environment]
    assert "engine" not in list_servers(Settings())
