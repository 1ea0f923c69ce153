"""What is created on AWS, against ECS' own schema and against the code that it starts."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.validate import ParamValidator

from twin_assets_tests.deploy.test_manifests import OURS, compose, container, known_variables
from twin_assets_tests.support import aws
from twin_resources.config.settings import Settings
from twin_serving.processes.servers import list_servers

TASKS = {part: aws.task_definition(part, aws.example()) for part in aws.PARTS}
DOCKERFILE = (aws.ROOT / "Dockerfile").read_text("utf-8")
FARGATE = {"512": range(1024, 4097), "1024": range(2048, 8193), "2048": range(4096, 16385), "4096": range(8192, 30721)}
"""Memory in MiB that Fargate gives to so many CPU units; whole GiB only."""
OTHERS_READ = {"AWS_DEFAULT_REGION", "DAGSTER_CURRENT_IMAGE", "DAGSTER_CONTAINER_CONTEXT"}


def only_container(part: str) -> dict[str, Any]:
    (found,) = TASKS[part]["containerDefinitions"]
    return found


def given(part: str) -> dict[str, str]:
    """What a container finds in its environment, secrets by ARN."""
    found = only_container(part)
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in found["environment"] + found["secrets"]}


def invalid(definition: dict[str, Any]) -> str:
    """What ECS would not take of a task definition; nothing where it would take all."""
    service = boto3.client("ecs", region_name=aws.REGION).meta.service_model
    shape = service.operation_model("RegisterTaskDefinition").input_shape
    return ParamValidator().validate(definition, shape).generate_report()


@pytest.mark.parametrize("part", aws.PARTS)
def test_ecs_takes_each_task_definition(part: str) -> None:
    assert invalid(TASKS[part]) == ""
    assert TASKS[part]["family"] == f"twin-{part}"
    assert only_container(part)["name"] == part


def test_a_wrong_field_would_be_found() -> None:
    assert "memroy" in invalid({**TASKS["worker"], "memroy": "4096"})


def test_each_part_of_the_cluster_is_a_task_with_the_same_image_and_port() -> None:
    assert set(aws.PARTS) == set(OURS) == {path.stem for path in (aws.FOLDER / "tasks").glob("*.json")}
    version = aws.example()["VERSION"]
    for part in aws.PARTS:
        theirs, ours = container(OURS[part]), only_container(part)
        assert ours["image"] == f"{aws.example()['REGISTRY']}/{theirs['image']}:{version}"
        assert [each["containerPort"] for each in ours.get("portMappings", [])] == [
            each["containerPort"] for each in theirs.get("ports", [])
        ]


@pytest.mark.parametrize("part", aws.PARTS)
def test_each_task_starts_a_server_that_there_is(part: str) -> None:
    twin, serve, server, *options = only_container(part)["command"]
    assert (twin, serve) == ("twin", "serve")
    assert server == "worker" or server in list_servers(Settings())
    assert options in ([], ["--host", "0.0.0.0"])
    listens = bool(only_container(part).get("portMappings"))
    assert bool(options) == (listens and part != "serving"), "the image of `serving` sets TWIN_HOST"


@pytest.mark.parametrize("part", aws.PARTS)
def test_each_task_is_asked_whether_it_is_well_as_elsewhere(part: str) -> None:
    asked = only_container(part)["healthCheck"]["command"]
    beside = compose()["services"][part].get("healthcheck")
    target = container(OURS[part])["image"].removeprefix("twin-")
    stage = DOCKERFILE.split(f" AS {target}\n")[1].split("\nFROM ")[0]
    found = re.search(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", stage, re.MULTILINE)
    assert found
    assert asked == (beside["test"] if beside else ["CMD", *json.loads(found[1])])


@pytest.mark.parametrize("part", aws.PARTS)
def test_each_task_finds_what_the_instance_and_the_code_read(part: str) -> None:
    text = (aws.FOLDER / "dagster.yaml").read_text("utf-8")
    read = set(re.findall(r"env: (\w+)", text))
    assert read == {"TWIN_DAGSTER_DATABASE_URL", "TWIN_DAGSTER_LOGS_BUCKET"}
    assert read <= set(given(part))
    assert set(given(part)) <= known_variables() | OTHERS_READ
    open_ones = {each["name"] for each in only_container(part)["environment"]}
    assert not {name for name in open_ones if name.endswith(("_KEY", "_KEYS", "_TOKEN", "DATABASE_URL"))}
    assert ("TWIN_API_KEYS" in given(part)) == (part in ("dagster", "mlflow", "serving")), (
        "what people reach asks for one"
    )


def test_runs_find_what_the_daemon_found_and_their_secrets_by_tag() -> None:
    launcher = yaml.safe_load((aws.FOLDER / "dagster.yaml").read_text("utf-8"))["run_launcher"]["config"]
    assert launcher["secrets_tag"] == "twin"
    resources = launcher["run_resources"]
    assert int(resources["memory"]) in FARGATE[resources["cpu"]]
    named = {each["name"] for each in only_container("daemon")["secrets"]}
    assert named == {"TWIN_DATABASE_URL", "TWIN_DAGSTER_DATABASE_URL"} <= set(aws.SECRETS)
    assert given("worker")["DAGSTER_CURRENT_IMAGE"] == only_container("worker")["image"]
    context = json.loads(given("worker")["DAGSTER_CONTAINER_CONTEXT"])
    assert context == {"ecs": {"task_role_arn": TASKS["worker"]["taskRoleArn"]}}


@pytest.mark.parametrize("part", aws.PARTS)
def test_each_task_has_a_size_that_fargate_knows_and_one_role_that_suits_it(part: str) -> None:
    task, found = TASKS[part], only_container(part)
    assert int(task["memory"]) in FARGATE[task["cpu"]]
    assert int(task["memory"]) % 1024 == 0
    assert found["memoryReservation"] < int(task["memory"])
    role = task["taskRoleArn"].rsplit("/", 1)[1]
    assert role == ("twin-launcher" if part in ("daemon", "dagster") else "twin-task"), "these start and end runs"
    assert task["executionRoleArn"].endswith(":role/twin-execution")
    assert found["linuxParameters"] == {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}}
    assert found["logConfiguration"]["options"]["awslogs-stream-prefix"] == part


@pytest.mark.parametrize("part", aws.PARTS)
def test_the_volume_and_the_configuration_lie_where_the_image_looks_for_them(part: str) -> None:
    variables = dict(re.findall(r"\b(TWIN_HOME|TWIN_CONFIG|DAGSTER_HOME)=(\S+)", DOCKERFILE))
    (mount,) = only_container(part)["mountPoints"]
    assert mount == {"sourceVolume": TASKS[part]["volumes"][0]["name"], "containerPath": variables["TWIN_HOME"]}
    assert variables["DAGSTER_HOME"] == f"{variables['TWIN_HOME']}/dagster"
    (copied,) = re.findall(r"^COPY (.*) (\S+)$", (aws.FOLDER / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert copied[1] == given(part)["TWIN_DAGSTER_FOLDER"] + "/"
    assert Path(variables["TWIN_CONFIG"]).parent == Path(given(part)["TWIN_DAGSTER_FOLDER"])
    assert sorted(copied[0].split()) == sorted(path.name for path in aws.FOLDER.glob("*.yaml"))


def test_the_image_has_what_the_instance_names() -> None:
    assert re.search(r'-e "\.\[aws,kubernetes,ray,s3\]"', DOCKERFILE)


def test_every_address_is_that_of_a_part() -> None:
    texts = [path.read_text("utf-8") for path in (aws.FOLDER / "tasks").glob("*.json")]
    found = {match for text in texts for match in re.findall(r"http://(\w+)\.twin\.internal:(\d+)", text)}
    (server,) = yaml.safe_load((aws.FOLDER / "workspace.yaml").read_text("utf-8"))["load_from"]
    found.add((server["grpc_server"]["host"].removesuffix(".twin.internal"), str(server["grpc_server"]["port"])))
    assert {name for name, _ in found} == {"worker", "dagster", "mlflow"}
    for name, port in found:
        assert [each["containerPort"] for each in only_container(name)["portMappings"]] == [int(port)]
    (local,) = yaml.safe_load((aws.ROOT / "workspace.yaml").read_text("utf-8"))["load_from"]
    assert server["grpc_server"]["location_name"] == local["python_module"]["location_name"], "sensors keep their state"


def test_every_variable_that_is_left_open_is_in_the_example() -> None:
    paths = [*(aws.FOLDER / "tasks").glob("*.json"), *(aws.FOLDER / "policies").glob("*.json")]
    named = {name for path in paths for name in string.Template(path.read_text("utf-8")).get_identifiers()}
    assert named == set(aws.example())
    for path in (aws.FOLDER / "policies").glob("*.json"):
        policy = aws.rendered(path, aws.example())
        assert policy["Version"] == "2012-10-17"
        assert all(each["Effect"] == "Allow" for each in policy["Statement"])


def test_the_description_names_files_that_there_are() -> None:
    text = (aws.ROOT / "docs" / "deploying.md").read_text("utf-8").split("\n## AWS\n")[1].split("\n## ")[0]
    named = set(re.findall(r"\b(?:tasks|policies)/[\w.]+\.json\b", text))
    assert named >= {f"policies/{path.name}" for path in (aws.FOLDER / "policies").glob("*.json")}
    assert all((aws.FOLDER / name).exists() for name in named)
    for secret in aws.SECRETS:
        assert secret in text
