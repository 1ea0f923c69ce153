"""Dagster's and MLflow's pages: no page of the web, no other host name and nobody without a key gets at them."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from twin_assets_tests.support.processes import twin_up, within
from twin_assets_tests.support.watching import Watch
from twin_assets_tests.twin_serving.processes.conftest import CONFIG
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.forgetting.orchestration import forget_calls, forget_traces
from twin_resources.storage.keys import ApiKeys, internal_key

pytestmark = pytest.mark.long

CHANGE = "mutation { setNuxSeen }"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="twin-web-") as made:
        (Path(made) / "twin.yaml").write_text(f"{CONFIG}models: {{reranker: null}}\n")
        yield Path(made)


@pytest.fixture(scope="module")
def open_(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Watch]]:
    """All servers while no key was made, and a watch over every address that one of their processes asks for."""
    watch = Watch.kept_in(tmp_path_factory.mktemp("watch"))
    names = ("api", "dagster", "mlflow")
    with twin_up(folder, "--engine", "none", names=names, **watch.variables) as addresses:
        yield addresses, watch


@pytest.fixture(scope="module")
def keyed(folder: Path, open_: tuple[dict[str, str], Watch]) -> Iterator[dict[str, str]]:
    """The same servers once there are keys, which closes them: what wants them open stands above what asks for this."""
    addresses, _ = open_
    settings = Settings(config=folder / "twin.yaml", home=folder / "state")
    keys = ApiKeys(postgres.engine(postgres.databases(settings.postgres)))
    secrets = {"admin": keys.create("a", "admin")[1], "reader": keys.create("r", "reader", ["ada"])[1]}
    for name in ("dagster", "mlflow"):
        url = addresses[name]
        assert within(30, lambda url=url: httpx.get(url, timeout=60).status_code == 401), "a first key closes the page"
    mlflow = postgres.databases(settings.postgres).mlflow.render_as_string(hide_password=False)
    yield {**addresses, **secrets, "ours": internal_key(settings.home), "tables of mlflow": mlflow}
    keys.engine.dispose()


def graphql(url: str, query: str = "{ version }", **options: Any) -> httpx.Response:
    return httpx.post(f"{url}/graphql", json={"query": query}, timeout=60, **options)


def test_a_web_page_cannot_change_anything_in_dagster(open_: tuple[dict[str, str], Watch]) -> None:
    url = open_[0]["dagster"]
    evil = {"Origin": "https://evil.example"}
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    in_address = {"query": CHANGE}
    refused = [
        httpx.get(f"{url}/graphql", params=in_address),
        httpx.get(f"{url}/graphql", params=in_address, headers=link),
        httpx.get(f"{url}/graphql", params=in_address, headers=image),
        httpx.get(f"{url}/graphql", headers=image),
        httpx.post(f"{url}/graphql", params=in_address, headers={"Content-Type": "text/plain"}),
        httpx.post(f"{url}/graphql", content=json.dumps(in_address), headers={"Content-Type": "text/plain"}),
        httpx.post(f"{url}/graphql", content=CHANGE, headers={"Content-Type": "application/graphql"}),
        graphql(url, CHANGE, headers=evil),
        graphql(url, CHANGE, headers={"Origin": "null"}),
        graphql(url, CHANGE, headers={"Sec-Fetch-Site": "same-site"}),
        graphql(url, CHANGE, headers={"Host": "evil.example"}),
        httpx.post(f"{url}/report_asset_materialization/serving?partition=ada", headers=evil),
    ]
    assert [each.status_code for each in refused] == [405, 405, 403, 403, 405, 415, 415, 403, 403, 403, 421, 403]
    assert graphql(url, CHANGE, headers={"Origin": url}).json() == {"data": {"setNuxSeen": True}}
    assert httpx.get(url, headers=link).status_code == 200, "a link from another page may open the interface"


def test_a_web_page_cannot_reach_mlflow_and_its_assistant_is_off(open_: tuple[dict[str, str], Watch]) -> None:
    url = open_[0]["mlflow"]
    create = f"{url}/api/2.0/mlflow/experiments/create"
    assert httpx.post(create, json={"name": "x"}, headers={"Origin": "https://evil.example"}).status_code == 403
    assert httpx.post(create, json={"name": "x"}, headers={"Origin": "http://localhost:9999"}).status_code == 403
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 421
    assert httpx.post(create, json={"name": "ours"}, headers={"Origin": url}).status_code == 200
    assert httpx.get(f"{url}/ajax-api/3.0/mlflow/assistant/config").status_code == 404
    told = httpx.get(f"{url}/ajax-api/3.0/mlflow/ui-telemetry").json()
    assert told["disable_ui_telemetry"] is True
    assert "connect-src 'self'" in httpx.get(url).headers["content-security-policy"]


def test_no_server_asks_for_anything_but_loopback(open_: tuple[dict[str, str], Watch]) -> None:
    """Every name and address that Python code asked for, and every connection that any process of ours held."""
    addresses, watch = open_
    pages = ["/", "/overview/activity/timeline", "/assets", "/experiments", "/readyz", "/page/chat/chat.js"]
    held = set()
    for url in addresses.values():
        for page in pages:
            httpx.get(url + page, timeout=60)
            held |= remote_addresses(str(watch.asked))
    graphql(addresses["dagster"], "{ instance { daemonHealth { id } } }")
    httpx.post(f"{addresses['api']}/search", json={"query": "clocks"}, timeout=60)
    for part in ("web_interfaces dagster", "web_interfaces mlflow", "serve-api", "dagster-daemon"):
        assert watch.saw(part), f"{part} was not watched"
    assert watch.elsewhere() == []
    assert {each for each in held if each not in ("127.0.0.1", "::1")} == set()


def remote_addresses(token: str) -> set[str]:
    """Where processes with ``token`` in their environment are connected to."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if token in process.environ().get("TEST_ASKED", ""):
                found |= {each.raddr.ip for each in process.net_connections("inet") if each.raddr}
    return found


def test_subscriptions_reach_the_page_and_no_other(open_: tuple[dict[str, str], Watch]) -> None:
    url = open_[0]["dagster"]
    address = f"{url.replace('http', 'ws')}/graphql"
    with connect(address, subprotocols=["graphql-ws"], origin=url) as socket:  # pyright: ignore[reportArgumentType]
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(10)) == {"type": "connection_ack"}
    with pytest.raises(InvalidStatus):
        connect(address, subprotocols=["graphql-ws"], origin="https://evil.example")  # pyright: ignore[reportArgumentType]


def test_the_configuration_of_a_run_cannot_name_an_interpreter(open_: tuple[dict[str, str], Watch]) -> None:
    found = graphql(
        open_[0]["dagster"],
        '{ runConfigSchemaOrError(mode: "default", selector: {repositoryLocationName: "twin", repositoryName: '
        '"__repository__", pipelineName: "__ASSET_JOB"}) { ... on RunConfigSchema { allConfigTypes { '
        "... on CompositeConfigType { fields { name } } } } ... on Error { message } } }",
    ).json()
    names = {
        field["name"]
        for each in found["data"]["runConfigSchemaOrError"]["allConfigTypes"]
        for field in each.get("fields", ())
    }
    assert "compute" in names
    assert "python" not in names


@pytest.mark.parametrize("name", ["dagster", "mlflow"])
def test_with_keys_programs_send_one_and_browsers_sign_in_once(keyed: dict[str, str], name: str) -> None:
    url, key = keyed[name], keyed["admin"]
    page = {"Accept": "text/html"}
    with httpx.Client(base_url=url, timeout=60) as browser:
        assert browser.get("/server_info" if name == "dagster" else "/health").status_code == 200
        form = browser.get("/assets?x=1", headers=page)
        assert (form.status_code, 'action="/twin-sign-in?next=%2Fassets%3Fx%3D1"' in form.text) == (401, True)
        assert browser.get("/assets", headers={"Accept": "application/json"}).status_code == 401
        wrong = browser.post("/twin-sign-in?next=/", data={"key": "wrong"})
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
        foreign = {"Origin": "https://evil.example"}
        assert browser.post("/twin-sign-in", data={"key": key}, headers=foreign).status_code == 403
        signed = browser.post("/twin-sign-in?next=//evil.example", data={"key": key}, headers={"Origin": url})
        assert (signed.status_code, signed.headers["location"]) == (303, "/")
        cookie = signed.headers["set-cookie"].casefold()
        assert all(part in cookie for part in ("httponly", "samesite=strict", "max-age"))
        assert key not in cookie
        assert browser.get("/", headers=page).status_code == 200
        browser.cookies.set("twin_session", f"9{browser.cookies['twin_session']}")
        assert browser.get("/", headers=page).status_code == 401, "a cookie cannot be made to last"
    if name == "dagster":
        report = f"{url}/report_asset_materialization/serving?partition=ada"
        assert httpx.post(report, json={"partition": "ada"}).status_code == 401
        held = {"Authorization": f"Bearer {key}"}
        assert httpx.post(report, json={"partition": "ada"}, headers=held, timeout=60).status_code == 200
        assert graphql(url, headers=held).status_code == 200
        with pytest.raises(InvalidStatus):
            connect(f"{url.replace('http', 'ws')}/graphql", subprotocols=["graphql-ws"])  # pyright: ignore[reportArgumentType]


def test_keys_of_administrators_and_our_own_processes_open_the_pages(keyed: dict[str, str]) -> None:
    """The pages show every author, so a reader's key opens neither."""

    def status(name: str, key: str) -> int:
        headers = {"Authorization": f"Bearer {keyed[key]}"}
        return httpx.get(f"{keyed[name]}/", headers=headers, timeout=60).status_code

    for name in ("dagster", "mlflow"):
        assert within(5, lambda name=name: status(name, "admin") == 200)
        assert [status(name, key) for key in ("ours", "reader")] == [200, 401]


def test_calls_are_traced_in_mlflow_under_their_own_id_until_they_are_forgotten(keyed: dict[str, str]) -> None:
    def asked() -> httpx.Response:
        headers = {"Authorization": f"Bearer {keyed['reader']}"}
        return httpx.post(f"{keyed['api']}/search", json={"query": "a quincunx"}, headers=headers, timeout=60)

    assert within(60, lambda: asked().status_code == 200), "search comes up"
    trace = asked().json()["trace_id"]

    url = make_url(keyed["tables of mlflow"])

    def spans() -> list[tuple[str, str]]:
        with psycopg.connect(postgres.dsn(url)) as session:
            query = "SELECT trace_id, content FROM spans WHERE name = 'retrieval'"
            return session.execute(query).fetchall()

    assert within(60, lambda: any(trace in each for each, _ in spans()))
    assert all("quincunx" in content for each, content in spans() if trace in each)
    assert forget_calls(url, [trace, "0" * 32]) == 1
    assert not any(trace in each for each, _ in spans())
    assert forget_traces(url, "somebody else") == 0
    assert forget_traces(url, "ada", until=datetime(2026, 1, 1, tzinfo=UTC)) == 0
    assert forget_traces(url, "ada") >= 1
    assert spans() == []
