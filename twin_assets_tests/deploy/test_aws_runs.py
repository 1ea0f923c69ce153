"""Runs, step logs, artifacts and inboxes as configured for AWS, on a server that speaks Amazon's interfaces."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
import yaml
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._grpc.client import DagsterGrpcClient
from dagster_aws.s3 import S3ComputeLogManager
from dagster_graphql.test.utils import execute_dagster_graphql

from twin_assets import keys
from twin_assets_tests.support import aws
from twin_assets_tests.support.aws import Account
from twin_assets_tests.support.processes import free_ports, within
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.forgetting.orchestration import quieten_dagster
from twin_resources.sources.base import Author
from twin_resources.sources.linkedin_inbox import LinkedInInbox
from twin_resources.storage.artifacts import ArtifactStore
from twin_serving.processes.servers import environment, prepare_dagster, worker_command

LAUNCH = """mutation ($tags: [ExecutionTag!]!) { launchRun(executionParams: {mode: "default", selector: {
    repositoryLocationName: "twin", repositoryName: "__repository__", jobName: "__ASSET_JOB",
    assetSelection: [{path: ["chunks", "articles"]}], assetCheckSelection: []}, executionMetadata: {tags: $tags}})
    { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
CONFIG = 'authors: [{id: ada, name: Ada, consent: "These accounts are mine. 2026-11-21"}]\n'
LARGE = {"ecs/cpu": "8192", "ecs/memory": "61440"}
MOST_OF_OVERRIDES = 8192
"""Characters that ECS takes of what a task is started with."""


@dataclass(frozen=True)
class Deployment:
    """Dagster as it runs on AWS: its instance, and the workspace of a code server."""

    account: Account
    settings: Settings
    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext
    configuration: Path
    """The folder of ``dagster.yaml`` and ``workspace.yaml``, which leads to a code server of this machine."""

    def launch(self, author: str, tags: Mapping[str, str] | None = None) -> str:
        """Ask for a run as Dagster's page does; returns its id."""
        given = {"dagster/partition": author, **(tags or {})}
        variables = {"tags": [{"key": key, "value": value} for key, value in given.items()]}
        answer: Any = execute_dagster_graphql(self.workspace.create_request_context(), LAUNCH, variables).data
        assert answer["launchRun"]["__typename"] == "LaunchRunSuccess", answer
        return answer["launchRun"]["run"]["runId"]

    def dequeue(self) -> None:
        """What the daemon does with its queue every few seconds."""
        with QueuedRunCoordinatorDaemon(interval_seconds=5) as daemon:
            list(daemon.run_iteration(self.workspace))

    def monitor(self) -> None:
        """What the daemon does for runs whose process may be gone."""
        list(execute_run_monitoring_iteration(self.workspace, logging.getLogger(__name__)))

    def make_room(self) -> None:
        """End what other tests left in the queue."""
        for each in self.instance.get_runs():
            if not each.is_finished:
                self.instance.report_run_failed(each)

    def run(self, run_id: str) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run_id)
        assert found is not None
        return found

    def environment_of(self, definition: str) -> dict[str, str]:
        """What a container finds in its environment: nothing but what the image, the task definition and the secrets
        put there, paths aside."""
        (container,) = self.account.definition(definition)["containerDefinitions"]
        secrets = boto3.client("secretsmanager")
        home = self.settings.home
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(aws.ROOT),
            "HOME": str(home),
            **{name: os.environ[name] for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
            "TWIN_HOME": str(home),
            "TWIN_CONFIG": str(home / "twin.yaml"),
            "DAGSTER_HOME": str(home / "dagster"),
            **{each["name"]: each["value"] for each in container["environment"]},
            **{
                each["name"]: secrets.get_secret_value(SecretId=each["valueFrom"])["SecretString"]
                for each in container["secrets"]
            },
        }

    def start(self, run_id: str) -> subprocess.CompletedProcess[str]:
        """What ECS does with the task of a run, without a container."""
        task = self.task(run_id)
        variables = self.environment_of(task["taskDefinitionArn"])
        (override,) = task["overrides"]["containerOverrides"]
        command = [sys.executable, "-m", *override["command"]]
        return subprocess.run(command, env=variables, cwd=aws.ROOT, capture_output=True, text=True, timeout=300)

    def task(self, run_id: str) -> dict[str, Any]:
        """The task of a run as ECS knows it."""
        return self.account.task(self.run(run_id).tags["ecs/task_arn"])


@contextlib.contextmanager
def code_server(variables: dict[str, str]) -> Iterator[int]:
    """The command and the environment of the worker, on a port of its own."""
    (port,) = free_ports(1)
    command = list(worker_command("127.0.0.1"))
    command[command.index("4000")] = str(port)
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = DagsterGrpcClient(host="127.0.0.1", port=port)
        assert within(120, lambda: client.health_check_query() == "SERVING")
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def deployment(
    s3_server: str, new_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    plain = new_settings(dagster_folder=aws.FOLDER)
    found = postgres.prepare(plain.postgres)
    urls = tuple(url.render_as_string(hide_password=False) for url in (found.twin, found.dagster))
    with aws.account(s3_server, (urls[0], urls[1])) as account, pytest.MonkeyPatch.context() as patch:
        changes = {"artifacts_url": f"s3://{account.bucket}/twin", "dagster_logs_bucket": account.bucket}
        settings = plain.model_copy(update=changes)
        prepare_dagster(settings)
        (settings.home / "twin.yaml").write_text(CONFIG)
        (worker,) = aws.task_definition("worker", account.variables)["containerDefinitions"]
        given = {entry["name"]: entry["value"] for entry in worker["environment"]}
        # a container mounts its configuration, and a test reads it where it lies
        elsewhere = {"TWIN_DAGSTER_FOLDER": str(aws.FOLDER), "TWIN_GPU_RUN_TAGS": json.dumps(LARGE)}
        variables = {**environment(settings, found), **given, **elsewhere}
        for name in ("DAGSTER_HOME", "TWIN_DAGSTER_DATABASE_URL", "TWIN_DAGSTER_LOGS_BUCKET"):
            patch.setenv(name, variables[name])
        with code_server(variables) as port, dg.DagsterInstance.get() as instance:
            instance.add_dynamic_partitions("author", ["ada", "bo"])
            configuration = tmp_path_factory.mktemp("configuration")
            shutil.copy(aws.FOLDER / "dagster.yaml", configuration)
            text = (aws.FOLDER / "workspace.yaml").read_text("utf-8")
            file = configuration / "workspace.yaml"
            file.write_text(text.replace("worker.twin.internal", "127.0.0.1").replace("4000", str(port)))
            with WorkspaceProcessContext(instance, WorkspaceFileTarget([str(file)])) as workspace:
                yield Deployment(account, settings, instance, workspace, configuration)


@pytest.fixture(autouse=True)
def room(deployment: Deployment) -> None:
    """Nothing is queued or running at the start of a test."""
    deployment.make_room()


def test_dagster_takes_the_instance_of_aws_as_it_is(deployment: Deployment) -> None:
    it = deployment.instance
    assert [type(each).__name__ for each in (it.run_launcher, it.compute_log_manager, it.run_coordinator)] == [
        "EcsRunLauncher", "S3ComputeLogManager", "QueuedRunCoordinator"
    ]  # fmt: skip
    assert type(it.event_log_storage).__name__ == "PostgresEventLogStorage"
    assert it.run_monitoring_enabled
    assert it.run_launcher.supports_check_run_worker_health
    ours, theirs = (yaml.safe_load((folder / "dagster.yaml").read_text("utf-8")) for folder in (aws.ROOT, aws.FOLDER))
    elsewhere = {"run_launcher", "compute_logs", "concurrency", "run_monitoring"}
    assert {key: theirs[key] for key in theirs if key not in elsewhere} == {
        key: ours[key] for key in ours if key not in {*elsewhere, "code_servers"}
    }
    assert theirs["concurrency"]["pools"] == ours["concurrency"]["pools"]


def test_a_run_is_a_task_of_its_own_with_the_image_of_the_code_server(deployment: Deployment) -> None:
    account = deployment.account
    run_id = deployment.launch("ada")
    deployment.dequeue()
    task = deployment.task(run_id)
    definition = account.definition(task["taskDefinitionArn"])
    (container,) = definition["containerDefinitions"]
    (override,) = task["overrides"]["containerOverrides"]
    assert override["command"][:3] == ["dagster", "api", "execute_run"]
    assert run_id in override["command"][3]
    assert len(json.dumps(task["overrides"])) < MOST_OF_OVERRIDES
    assert (override["cpu"], override["memory"]) == (4096, 16384)
    assert (definition["cpu"], definition["memory"]) == ("4096", "16384")
    assert container["image"] == "111122223333.registry.example/twin-worker:0.1.0"
    daemon = account.definition("twin-daemon")["containerDefinitions"][0]
    assert {each["name"]: each["value"] for each in daemon["environment"]}.items() <= {
        each["name"]: each["value"] for each in container["environment"]
    }.items()
    assert container["mountPoints"] == daemon["mountPoints"]
    assert definition["volumes"] == account.definition("twin-daemon")["volumes"]
    assert container["stopTimeout"] == 120, "a training keeps the step at hand"
    assert "healthCheck" not in container
    assert definition["taskRoleArn"].endswith(":role/twin-task"), "a run may start no other task"
    assert definition["executionRoleArn"].endswith(":role/twin-execution")
    network = {detail["name"]: detail["value"] for detail in task["attachments"][0]["details"]}
    assert network["subnetId"] == account.subnet
    assert {"key": "dagster/partition", "value": "ada"} in task["tags"]


def test_the_command_of_a_task_with_what_its_container_gets_does_the_run(deployment: Deployment) -> None:
    run_id = deployment.launch("ada")
    deployment.dequeue()
    done = deployment.start(run_id)
    assert done.returncode == 0, done.stderr
    assert deployment.run(run_id).status is dg.DagsterRunStatus.SUCCESS, done.stderr
    made = deployment.instance.fetch_materializations(keys.chunks("articles"), limit=1).records
    assert [each.run_id for each in made] == [run_id]
    prefix = f"dagster/storage/{run_id}/compute_logs/"
    logs = boto3.client("s3").list_objects_v2(Bucket=deployment.account.bucket, Prefix=prefix)["Contents"]
    assert any(each["Key"].endswith(".err") for each in logs), "what its steps printed lies in the bucket"
    assert b"s3cret" not in b"".join(
        boto3.client("s3").get_object(Bucket=deployment.account.bucket, Key=each["Key"])["Body"].read() for each in logs
    )


def test_the_daemon_as_its_task_starts_it_launches_what_is_queued(deployment: Deployment) -> None:
    run_id = deployment.launch("bo")
    (container,) = deployment.account.definition("twin-daemon")["containerDefinitions"]
    metadata = os.environ["ECS_CONTAINER_METADATA_URI_V4"]
    variables = {
        **deployment.environment_of("twin-daemon"),
        "ECS_CONTAINER_METADATA_URI_V4": metadata,
        "TWIN_DAGSTER_FOLDER": str(deployment.configuration),
    }
    command = [sys.executable, "-m", "twin_serving.cli", *container["command"][1:]]
    process = subprocess.Popen(command, env=variables, cwd=aws.ROOT)
    try:
        assert within(120, lambda: "ecs/task_arn" in deployment.run(run_id).tags)
        check = [sys.executable, "-m", "dagster._daemon", *container["healthCheck"]["command"][2:]]
        assert within(60, lambda: not subprocess.run(check, env=variables, capture_output=True).returncode)
    finally:
        process.terminate()
        process.wait(60)


def test_secrets_reach_a_run_by_arn_and_are_written_down_nowhere(deployment: Deployment) -> None:
    account = deployment.account
    run_id = deployment.launch("bo")
    deployment.dequeue()
    task = deployment.task(run_id)
    definition = account.definition(task["taskDefinitionArn"])
    given = {each["name"]: each["valueFrom"] for each in definition["containerDefinitions"][0]["secrets"]}
    assert given == {name: arn for name, arn in account.arns.items() if name != aws.ONLY_OF_SERVICES}
    assert aws.ONLY_OF_RUNS in given, "one that no task definition names"
    run = deployment.run(run_id)
    events = [each.to_json() for each in deployment.instance.all_logs(run_id)]
    assert any("Launching run in ECS task" in event for event in events)
    written = json.dumps([task, definition, run.tags, run.run_config, events], default=str)
    for name, value in account.values.items():
        assert value not in written, name


def test_runs_that_train_get_the_tags_that_were_configured_and_by_them_a_larger_task(deployment: Deployment) -> None:
    (location,) = deployment.workspace.create_request_context().code_locations
    sensors = {each.name: each for each in location.get_repository("__repository__").get_sensors()}
    tags = sensors["gpu_automation"].run_tags
    assert LARGE.items() < tags.items()
    assert not LARGE.items() & sensors["cpu_automation"].run_tags.items()
    run_id = deployment.launch("bo", tags)
    deployment.dequeue()
    (override,) = deployment.task(run_id)["overrides"]["containerOverrides"]
    assert (override["cpu"], override["memory"]) == (8192, 61440)


def test_an_author_takes_two_places_at_a_time_and_leaves_the_others(deployment: Deployment) -> None:
    mine = [deployment.launch("ada") for _ in range(3)]
    (other,) = [deployment.launch("bo")]
    deployment.dequeue()
    assert [deployment.run(each).status.value for each in (*mine, other)] == [
        "STARTING", "STARTING", "QUEUED", "STARTING"
    ]  # fmt: skip
    deployment.instance.report_run_failed(deployment.run(mine[0]))
    deployment.dequeue()
    assert deployment.run(mine[2]).status is dg.DagsterRunStatus.STARTING


def test_a_run_whose_task_was_killed_ends_and_one_that_a_person_ends_is_stopped(deployment: Deployment) -> None:
    lost, kept, ended = (deployment.launch(author) for author in ("ada", "ada", "bo"))
    deployment.dequeue()
    for each in (lost, kept, ended):
        started = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name="__ASSET_JOB")
        deployment.instance.report_dagster_event(started, each)
    deployment.account.kill(deployment.run(lost).tags["ecs/task_arn"], "OutOfMemoryError: container killed")
    deployment.monitor()
    assert deployment.run(lost).status is dg.DagsterRunStatus.FAILURE
    assert deployment.run(kept).status is dg.DagsterRunStatus.STARTED
    said = [each.message for each in deployment.instance.all_logs(lost)]
    assert any("OutOfMemoryError: container killed" in message for message in said)
    assert deployment.instance.run_launcher.terminate(ended)
    assert deployment.task(ended)["lastStatus"] == "STOPPED"


def test_the_launcher_asks_for_nothing_but_what_its_policy_allows(deployment: Deployment) -> None:
    deployment.account.called.clear()
    run_id = deployment.launch("ada")
    deployment.dequeue()
    deployment.account.kill(deployment.run(run_id).tags["ecs/task_arn"], "its machine went")
    deployment.instance.run_launcher.check_run_worker_health(deployment.run(run_id))
    deployment.instance.run_launcher.terminate(run_id)
    policy = aws.rendered(aws.FOLDER / "policies" / "launcher.json", deployment.account.variables)
    allowed = {action for each in policy["Statement"] for action in as_list(each["Action"])}
    asked = {name for name in deployment.account.called if not name.startswith("s3:")}
    assert {"ecs:RunTask", "ecs:StopTask", "secretsmanager:ListSecrets"} <= asked
    assert asked <= allowed
    assert {"ecs:TagResource", "iam:PassRole"} <= allowed, "what RunTask and RegisterTaskDefinition ask for unseen"
    (passed,) = [each for each in policy["Statement"] if "iam:PassRole" in as_list(each["Action"])]
    definition = deployment.account.definition(deployment.task(run_id)["taskDefinitionArn"])
    assert {definition["taskRoleArn"], definition["executionRoleArn"]} <= set(passed["Resource"])


def test_step_logs_lie_in_the_bucket_and_a_forgotten_author_takes_them_along(deployment: Deployment) -> None:
    instance = deployment.instance
    run_ids = {author: deployment.launch(author) for author in ("ada", "bo")}
    manager = instance.compute_log_manager
    for author, run_id in run_ids.items():
        with manager.capture_logs([run_id, "compute_logs", "chunks__articles"]):
            print(f"{author} wrote of sundials", flush=True)

    def printed(author: str) -> str | None:
        with tempfile.TemporaryDirectory() as empty:
            elsewhere = S3ComputeLogManager(deployment.account.bucket, local_dir=empty)
            found = elsewhere.get_log_data([run_ids[author], "compute_logs", "chunks__articles"])
        return found.stdout.decode() if found.stdout else None

    assert printed("ada") == "ada wrote of sundials\n"
    database = postgres.databases(deployment.settings.postgres).dagster
    quieten_dagster(database, deployment.settings.step_logs, "ada", deployment.settings.s3_options)
    assert printed("ada") is None
    assert printed("bo") == "bo wrote of sundials\n"


def test_artifacts_and_inboxes_lie_in_the_bucket(deployment: Deployment, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "weights.txt").write_text("small")
    store = ArtifactStore.of(deployment.settings)
    address = store.put("adapters", made)
    s3 = boto3.client("s3")
    bucket = deployment.account.bucket
    assert s3.get_object(Bucket=bucket, Key=f"twin/{address}/weights.txt")["Body"].read() == b"small"
    inbox = LinkedInInbox(f"s3://{bucket}/inbox", Author("ada", "Ada Berg", ()), {})
    s3.put_object(Bucket=bucket, Key="inbox/first.zip", Body=b"1")
    assert [line.split()[0] for line in inbox.fingerprint().splitlines()] == ["first.zip"]
    s3.put_object(Bucket=bucket, Key="inbox/second.zip", Body=b"22")
    assert len(inbox.fingerprint().splitlines()) == 2, "what another machine drops later is seen as well"
    s3.delete_object(Bucket=bucket, Key=f"twin/{address}/.sealed")
    assert not store.exists(address), "what another machine deleted"


def test_policies_name_the_bucket_and_every_secret_and_nothing_beside(deployment: Deployment) -> None:
    policy = aws.rendered(aws.FOLDER / "policies" / "task.json", deployment.account.variables)
    listed, kept = policy["Statement"]
    assert listed["Resource"] == f"arn:aws:s3:::{deployment.account.bucket}"
    assert kept["Resource"] == f"{listed['Resource']}/*"
    assert {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"} <= set(kept["Action"])
    secrets = aws.rendered(aws.FOLDER / "policies" / "execution.json", deployment.account.variables)["Statement"]
    account = deployment.account.variables["ACCOUNT"]
    pattern = secrets[0]["Resource"].replace(account, "*")
    assert all(fnmatch.fnmatch(arn, pattern) for arn in deployment.account.arns.values())


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
