"""From an answer to its sources and back."""

from __future__ import annotations

import httpx

from twin_assets_tests.support.site import SITE, ask


def test_lineage_leads_from_an_answer_to_its_documents_and_back(client: httpx.Client) -> None:
    trace = ask(client, model="ada-first")["trace_id"]
    found = client.get("/lineage", params={"trace_id": trace}).json()
    assert f"{SITE}/tides" in [passage["url"] for passage in found["passages"]]
    assert found["adapter"]["version"] == "ada-first"
    assert [each["url"] for each in found["adapter"]["dataset"]["documents"]] == [f"{SITE}/tides"]
    assert found["links"] == {}
    back = client.get("/lineage", params={"url": f"{SITE}/tides?utm_source=x"}).json()
    assert "ada-first" in [each["version"] for each in back["documents"][0]["adapters"]]
    sample = back["documents"][0]["samples"][0]
    made_of = client.get("/lineage", params={"sample_id": sample["sample_id"]}).json()
    assert sample["dataset_id"] in [each["id"] for each in made_of["datasets"]]
    assert [each["kind"] for each in made_of["datasets"]] == ["instruct"] * len(made_of["datasets"])
    assert client.get("/lineage", params={"sample_id": "none"}).status_code == 404
    assert client.get("/lineage", params={"sample_id": "none", "trace_id": trace}).status_code == 422
    assert client.get("/lineage", params={"url": f"{SITE}/nowhere"}).status_code == 404
    assert client.get("/lineage").status_code == 422
