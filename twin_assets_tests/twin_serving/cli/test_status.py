"""What `twin status` shows."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import sqlalchemy as sa
import yaml

from twin_assets_tests.support.command_line import Twin
from twin_resources.database import postgres
from twin_resources.storage.alerts import Alerts

COLLECTED = """\
authors:
  - id: ada
    name: Ada Berg
    consent: "These accounts are mine. 2026-11-21"
    schedule: "0 6 * * 1"
    sources:
      - {medium: "@ada"}
      - {github: ada}
      - {github: project, url: "https://github.com/ada/project"}
      - {linkedin: me}
      - {linkedin_activity: ada-berg, i_understand: true, browser_state: state.json}
      - {website: "https://ada.example"}
"""


def test_status_shows_each_source_with_its_last_reading(twin: Twin, data: Path) -> None:
    twin.write(COLLECTED)
    twin("import", str(data / "substack"), "--author", "ada")
    rows = {(row["kind"], row["location"]): row for row in twin.json("status")["sources"]}
    assert len(rows) == 7
    assert "there is no folder project" in rows["github", "project"]["failure"], "one wrong source hides no other"
    medium = rows["medium", "@ada"]
    assert (medium["read_at"], medium["failure"]) == (None, None)
    assert medium["next"].endswith("06:00:00+00:00")
    imported = rows["substack_export", str(data / "substack")]
    assert imported["counts"]["new"]
    assert imported["next"] is None
    shown = twin("status")
    assert "never" in shown
    assert "medium @ada" in shown


def test_status_names_a_blocking_check_that_failed(ada: Twin, database: postgres.Databases, tmp_path: Path) -> None:
    authors = dg.DynamicPartitionsDefinition(name="author")

    @dg.asset(key=["embeddings", "articles"], partitions_def=authors)
    def vectors() -> None: ...

    @dg.asset_check(asset=vectors, name="complete", blocking=True, partitions_def=authors)
    def complete() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passed, metadata={"passages": 12, "vectors": 10})

    url = database.dagster.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": url}}}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("author", ["ada"])
        for passed in (False, True):
            dg.materialize([vectors, complete], instance=instance, partition_key="ada", raise_on_error=False)
            shown, told = ada("status"), ada.json("status")["orchestration"]["blocked"]
            assert ("held up by a check that failed" in shown) is not passed
            assert len(told) == int(not passed)
            if not passed:
                for part in ("embeddings/articles", "complete", "passages 12, vectors 10", "embeds what is missing"):
                    assert part in shown


def test_alerts_are_listed_and_acknowledged(ada: Twin, engine: sa.Engine) -> None:
    assert twin_says(ada) == "nothing is wrong"
    store = Alerts(engine)
    store.observe("failures", "ada", "bad", "9 of 10 requests failed")
    (found,) = ada.json("alerts")
    assert (found["rule"], found["acknowledged_by"]) == ("failures", None)
    assert "9 of 10 requests failed" in ada("alerts", "--acknowledge", str(found["id"]))
    assert ada.json("alerts")[0]["acknowledged_by"]
    assert "no alert 99 is open" in ada("alerts", "--acknowledge", "99", code=1)
    store.observe("failures", "ada", "good", "none of 10 requests failed")
    assert twin_says(ada) == "nothing is wrong"
    assert [each["state"] for each in ada.json("alerts", "--all")] == ["closed"]


def twin_says(twin: Twin) -> str:
    return twin("alerts").strip()
