"""Dataset versions over HTTP, for keys of two authors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from twin_assets_tests.support.site import Api, embedder_of, listening, wait_for
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.storage.datasets import Datasets, Member
from twin_resources.storage.keys import Kind
from twin_resources.storage.warehouse import Warehouse
from twin_serving.api.app import create_app

BY_NAME = {"from": "ada-1", "to": "ada-2"}


@pytest.fixture(scope="module")
def site(new_settings: Callable[..., Settings]) -> Iterator[Api]:
    """An application without an engine: three versions of Ada's, one of Bo's."""
    settings = new_settings(api_keys="first-key")
    database = postgres.engine(postgres.prepare(settings.postgres))
    for author in settings.authors:
        Warehouse(database).record_author(author)
    for name, samples in (("ada-1", ("s1", "s2")), ("ada-2", ("s2", "s3")), ("bo-1", ("t1",))):
        members = [Member(each, "c", f"d-{each}", f"https://x/{each}", "train") for each in samples]
        manifest = {"kinds": {"section": len(samples)}, "candidates": 5, "dropped": {"too_short": 2}, "name": name}
        Datasets(database).add(name, name.split("-")[0], "instruct", "datasets/none", manifest, members)
    Datasets(database).add("ada-3", "ada", "preference", "datasets/none", {"pairs": 0}, [])
    with listening(create_app(settings, None, embed=embedder_of)) as url:
        api = Api(url, settings, database, None)
        headers = {"Authorization": "Bearer first-key"}
        with api.client(headers=headers) as client:
            wait_for(lambda: client.get("/datasets").status_code == 200, 60)
        yield api
    database.dispose()


def test_versions_come_in_pages_with_what_is_in_them(key_of: Callable[[Kind, str], httpx.Client]) -> None:
    with key_of("author", "ada") as ada:
        first = ada.get("/datasets", params={"limit": 2}).json()
        rest = ada.get("/datasets", params={"limit": 2, "cursor": first["next"]}).json()
        assert [each["id"] for each in first["datasets"] + rest["datasets"]] == ["ada-3", "ada-2", "ada-1"]
        assert rest["next"] is None
        (old,) = rest["datasets"]
        assert (old["samples"], old["splits"], old["documents"]) == (2, {"train": 2}, 2)
        assert (old["kinds"], old["candidates"], old["dropped"]) == ({"section": 2}, 5, {"too_short": 2})
        assert ada.get("/datasets/ada-1").json() == old
        only = ada.get("/datasets", params={"kind": "preference"}).json()["datasets"]
        assert [each["id"] for each in only] == ["ada-3"]
        assert ada.get("/datasets", params={"kind": "\x00"}).status_code == 200
        assert ada.get("/datasets", params={"cursor": "x"}).status_code == 422
        assert ada.get("/datasets/ada").status_code == 404, "several begin so"


def test_two_versions_are_compared(key_of: Callable[[Kind, str], httpx.Client]) -> None:
    with key_of("author", "ada") as ada:
        found = ada.get("/datasets/diff", params=BY_NAME).json()
        assert (found["before"]["id"], found["after"]["id"], found["unchanged"]) == ("ada-1", "ada-2", 1)
        assert {each["url"]: each["change"] for each in found["documents"]} == {
            "https://x/s1": "removed",
            "https://x/s3": "added",
        }
        assert [each["change"] for each in found["documents"][0]["samples"]] == ["removed"]
        assert found["manifest"] == {"name": ["ada-1", "ada-2"]}
        assert ada.get("/datasets/diff", params={"from": "ada-1"}).status_code == 422
        assert ada.get("/datasets/diff", params={**BY_NAME, "to": "ada-9"}).status_code == 404


def test_nothing_of_another_author_comes_out(key_of: Callable[[Kind, str], httpx.Client]) -> None:
    with key_of("author", "bo") as bo, key_of("reader", "ada") as reader:
        assert [each["id"] for each in bo.get("/datasets").json()["datasets"]] == ["bo-1"]
        assert bo.get("/datasets", params={"author": "ada"}).status_code == 404
        assert bo.get("/datasets/ada-1").status_code == 404
        assert bo.get("/datasets/diff", params=BY_NAME).status_code == 404
        assert bo.get("/datasets/diff", params={"from": "bo-1", "to": "ada-1"}).status_code == 404
        for path in ("/datasets", "/datasets/ada-1", "/datasets/diff?from=ada-1&to=ada-2"):
            assert reader.get(path).status_code == 403
