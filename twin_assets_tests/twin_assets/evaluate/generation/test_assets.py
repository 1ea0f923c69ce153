"""Which adapters are measured on an author's text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from twin_assets.evaluate.generation.assets import generation_report, rivals_of
from twin_resources.config.settings import Settings
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.storage.calls.interactions import Outcome
from twin_resources.storage.releases import Adapter


def speaks(twin: Twin, author: str, base: str, artifact: str = "") -> str:
    """An adapter that answers for an author; its version."""
    version = f"{author}-{Path(base).name}"
    twin.datasets.add(f"data-{author}", author, "instruct", artifact or "datasets/data", {}, ())
    row: dict[str, Any] = {"id": version, "author": author, "version": version, "kind": "sft", "base": base}
    row |= {"dataset_id": f"data-{author}", "artifact": artifact, "parameters": {}, "metrics": {}, "tracking_run": None}
    twin.releases.add_adapter(Adapter(**row))
    twin.reports.add(f"gate-{version}", author, "gate", version, {"passed": True, "failed": []}, "")
    twin.releases.approve(version, by="tester")
    return version


def test_what_answers_for_others_over_the_same_base_is_tried(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path))
    consent = "Written for this test. 2026-11-21"
    authors = [{"id": name, "name": name.title(), "consent": consent} for name in ("ada", "bo", "cy", "di")]
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump({"authors": authors, "evaluation": {"rivals": 1}}))
    twin = Twin(config=str(tmp_path / "twin.yaml"))
    for author in authors:
        twin.record_author(author["id"])
    speaks(twin, "ada", "small")
    speaks(twin, "bo", "large")
    wanted = speaks(twin, "cy", "small")
    assert [each.version for each in rivals_of(twin, "ada", "small")] == [wanted]
    speaks(twin, "di", "small")
    assert [each.version for each in rivals_of(twin, "ada", "small")] == [wanted], "no more than the settings allow"
    assert rivals_of(twin, "ada", "none") == []


class Measuring(Compute):
    """Has nothing measured: it gives figures, and notes what it was to measure."""

    def launch(self, context: Any, module: str, extras: Any, *, python: str | None = None) -> dict[str, Any]:
        asked.append(extras)
        if extras["measure"] == "shadow":
            versions = {name: extras[name] for name in ("candidate", "champion")}
            return {**versions, "questions": len(extras["traces"]), "measures": {}, "unheard": ""}
        loss = {"base": 3.0, **dict.fromkeys(extras["adapters"], 2.0)}
        figures = {"candidate": extras["candidate"], "samples": 1, "available": 1, "documents": 1, "shown": []}
        figures["against"] = extras.get("against")
        figures |= {"answer_tokens": 9, "loss": loss, "perplexity": loss, "gain": 0.3, "gain_interval": [0.2, 0.4]}
        return figures


asked: list[dict[str, Any]] = []


def measured(twin: Twin, author: str) -> tuple[list[str], str]:
    """Make the generation report; what was measured for it, and its data version."""
    asked.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("author", [author])
        resources = {"twin": twin, "compute": Measuring()}
        done = dg.materialize([generation_report], partition_key=author, instance=instance, resources=resources)
        (made,) = done.asset_materializations_for_node(generation_report.node_def.name)
    return [each["measure"] for each in asked], (made.tags or {})["dagster/data_version"]


def test_the_first_champion_is_measured_against_one_that_comes_later(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    authors = [
        {"id": name, "name": name, "consent": "Written for this test. 2026-11-30"} for name in ("first", "later")
    ]
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump({"authors": authors}))
    twin = Twin(config=str(tmp_path / "twin.yaml"))
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    address, base = twin.artifacts.put("adapters", tmp_path / "base"), str(tmp_path / "base")
    for author in ("first", "later"):
        twin.record_author(author)
    mine = speaks(twin, "first", base, artifact=address)
    alone = measured(twin, "first")
    assert (alone[0], asked[0]["rivals"]) == (["generation"], {})
    assert measured(twin, "first") == ([], alone[1])
    other = speaks(twin, "later", base, artifact=address)
    beside = measured(twin, "first")
    assert beside[0] == ["generation"]
    assert beside[1] != alone[1], "the gate looks again"
    assert (asked[0]["candidate"], list(asked[0]["rivals"])) == (mine, [other])
    assert measured(twin, "first") == ([], beside[1]), "nothing is measured twice"


@pytest.mark.parametrize("questions", [0, 2])
def test_readers_questions_are_put_to_a_candidate_beside_a_champion_where_that_is_asked_for(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, questions: int
) -> None:
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}
    config = {"authors": [author], "evaluation": {"shadow_questions": questions}}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(config))
    twin = Twin(config=str(tmp_path / "twin.yaml"))
    twin.record_author("ada")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    address = twin.artifacts.put("adapters", tmp_path / "base")
    base = str(tmp_path / "base")
    for version, data in (("ada-1", "old"), ("ada-2", "new")):
        twin.datasets.add(data, "ada", "instruct", address, {}, ())
        row: dict[str, Any] = {"id": version, "author": "ada", "version": version, "kind": "sft", "base": base}
        row |= {"dataset_id": data, "artifact": address, "parameters": {}, "metrics": {}, "tracking_run": None}
        twin.releases.add_adapter(Adapter(**row))
        twin.reports.add(f"gate-{version}", "ada", "gate", version, {"passed": True, "failed": []}, "")

    twin.interactions.record("t0", author="ada", call="ask", query="Who?", answer="I.", outcome=Outcome("write"))
    assert measured(twin, "ada")[0] == ["generation"], "nothing speaks yet that it could be put beside"
    twin.releases.approve("ada-1", by="tester")
    alone = measured(twin, "ada")
    assert alone[0] == (["generation", "shadow"] if questions else ["generation"])
    assert measured(twin, "ada") == ([], alone[1]), "nothing is measured twice"
    for number in range(3):
        trace, query = f"t{number + 1}", f"Why {number}?"
        twin.interactions.record(trace, author="ada", call="ask", query=query, answer="So.", outcome=Outcome("write"))
    again = measured(twin, "ada")
    if not questions:
        assert again == ([], alone[1])
        assert twin.reports.newest("ada", "shadow") is None
        return
    assert again[0] == ["shadow"]
    assert again[1] != alone[1], "the gate looks again"
    assert asked[0]["traces"] == ["t3", "t2"], "the newest of readers' questions, as many as are asked for"
    report = twin.reports.newest("ada", "shadow", "ada-2")
    assert report
    assert (report.metrics["champion"], report.metrics["questions"]) == ("ada-1", 2)
