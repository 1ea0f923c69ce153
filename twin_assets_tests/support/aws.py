"""An AWS account as `deploy/aws` fills one, on a server that speaks Amazon's interfaces and starts no container."""

from __future__ import annotations

import contextlib
import json
import signal
import string
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from twin_serving.processes.servers import ROOT

FOLDER = ROOT / "deploy" / "aws"
PARTS = ("worker", "dagster", "daemon", "mlflow", "serving")
REGION = "eu-central-1"
SECRETS = ("TWIN_DATABASE_URL", "TWIN_DAGSTER_DATABASE_URL", "TWIN_API_KEYS")
ONLY_OF_SERVICES = "TWIN_API_KEYS"
"""A secret without the tag by which runs get theirs."""
ONLY_OF_RUNS = "TWIN_GITHUB_TOKEN"
"""A secret that no task definition names: runs get it by its tag."""


def example() -> dict[str, str]:
    """The variables that the task definitions and policies leave open, with the values of the example."""
    lines = (FOLDER / "variables.env.example").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def rendered(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """A task definition or policy as `envsubst` fills it in; a variable that is not there is an error."""
    return json.loads(string.Template(path.read_text("utf-8")).substitute(variables))


def task_definition(part: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """What `aws ecs register-task-definition` is given for one part."""
    return rendered(FOLDER / "tasks" / f"{part}.json", variables)


@dataclass(frozen=True)
class Account:
    """What was created: a bucket, a cluster, secrets by ARN, every task definition, and the daemon's task.

    ``called`` are the operations that were asked for since, as IAM names them.
    """

    endpoint: str
    bucket: str
    cluster: str
    subnet: str
    group: str
    arns: dict[str, str]
    values: dict[str, str]
    variables: dict[str, str]
    called: set[str]

    def task(self, arn: str) -> dict[str, Any]:
        """A task as ECS knows it."""
        (found,) = boto3.client("ecs").describe_tasks(cluster=self.cluster, tasks=[arn], include=["TAGS"])["tasks"]
        return found

    def kill(self, arn: str, reason: str) -> None:
        """Stop a task whose container was killed; the server has none, so it is told how that ended."""
        from moto.ecs.models import ecs_backends

        boto3.client("ecs").stop_task(cluster=self.cluster, task=arn, reason=reason)
        owner = arn.split(":")[4]
        (container,) = ecs_backends[owner][REGION].tasks[self.cluster][arn].containers
        container.exitCode = 128 + signal.SIGKILL  # pyright: ignore[reportAttributeAccessIssue]

    def definition(self, arn: str) -> dict[str, Any]:
        """A task definition as ECS knows it."""
        return boto3.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]


@contextlib.contextmanager
def account(endpoint: str, database_urls: tuple[str, str]) -> Iterator[Account]:
    """Create everything that `docs/deploying.md` has a person create, for this process and those it starts.

    Args:
        endpoint: where the server listens.
        database_urls: what the secrets of our database and of Dagster's hold.
    """
    before = boto3.DEFAULT_SESSION
    with pytest.MonkeyPatch.context() as patch:
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
        for name, value in {**keys, "AWS_ENDPOINT_URL": endpoint}.items():
            patch.setenv(name, value)
        boto3.setup_default_session()
        made = _filled(endpoint, database_urls)
        with _metadata(made.cluster, _daemon(made)) as address:
            patch.setenv("ECS_CONTAINER_METADATA_URI_V4", address)
            boto3.DEFAULT_SESSION.events.register("before-call", _recorder(made.called))  # pyright: ignore
            try:
                yield made
            finally:
                boto3.DEFAULT_SESSION = before


def _filled(endpoint: str, database_urls: tuple[str, str]) -> Account:
    ecs, ec2, secrets = (boto3.client(name) for name in ("ecs", "ec2", "secretsmanager"))
    bucket = f"twin-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(VpcId=vpc, GroupName=bucket, Description="the twin's tasks")["GroupId"]
    cluster = ecs.create_cluster(clusterName=bucket)["cluster"]["clusterName"]
    told = (*database_urls, "s3cret-key-of-the-api", "s3cret-token-of-github")
    values: dict[str, str] = dict(zip((*SECRETS, ONLY_OF_RUNS), told, strict=True))
    arns = {}
    for name, value in values.items():
        tags = [{"Key": "twin", "Value": ""}] if name != ONLY_OF_SERVICES else []
        arns[name] = secrets.create_secret(Name=name, SecretString=value, Tags=tags)["ARN"]
    open_ones = {f"{name.removeprefix('TWIN_')}_ARN": arns[name] for name in SECRETS}
    variables = {**example(), **open_ones, "BUCKET": bucket, "REGION": REGION}
    for part in PARTS:
        ecs.register_task_definition(**task_definition(part, variables))
    return Account(endpoint, bucket, cluster, subnet, group, arns, values, variables, set())


def _daemon(made: Account) -> str:
    """Start the daemon's task; returns its ARN."""
    network = {"subnets": [made.subnet], "securityGroups": [made.group], "assignPublicIp": "DISABLED"}
    started = boto3.client("ecs").run_task(
        cluster=made.cluster,
        taskDefinition="twin-daemon",
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
    )
    return started["tasks"][0]["taskArn"]


@contextlib.contextmanager
def _metadata(cluster: str, task: str) -> Iterator[str]:
    """The address at which ECS tells each container which task it is; returns that of the daemon's."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = {"Cluster": cluster, "TaskARN": task} if self.path == "/task" else {"Name": "daemon"}
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _recorder(called: set[str]) -> Any:
    def record(model: Any, **_: Any) -> None:
        called.add(f"{model.service_model.signing_name}:{model.name}")

    return record
