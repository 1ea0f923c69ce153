"""The sensor that collects on schedule, and notices what came in by another way."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from twin_assets import automation, keys
from twin_assets.automation import DATA_VERSION_TAG, collection
from twin_assets.collect import assets
from twin_assets.collect.read import read_platform
from twin_assets.definitions import defs
from twin_assets_tests.support.automation import evaluate
from twin_assets_tests.support.replica import Replica
from twin_resources.config.settings import Settings
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import RawDocument
from twin_resources.sources.folder import Folder
from twin_serving.answering.intake import Sent


@pytest.fixture
def twin(new_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Twin:
    settings = new_settings()
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path))
    config = {"authors": [{"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}]}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(config))
    return Twin(config=str(tmp_path / "twin.yaml"))


def tick(instance: dg.DagsterInstance, twin: Twin, cursor: str | None) -> tuple[list[dg.RunRequest], str | None]:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs, resources={"twin": twin})
    found = list(collection(context))  # pyright: ignore[reportArgumentType, reportCallIssue]
    return [each for each in found if isinstance(each, dg.RunRequest)], context.cursor


def test_an_import_is_noticed_once(twin: Twin) -> None:
    author = twin.record_author("ada")
    with dg.DagsterInstance.ephemeral() as instance:
        (request,), cursor = tick(instance, twin, None)
        assert instance.get_dynamic_partitions("author") == ["ada"], "new authors get their partition"
        assert set(request.asset_selection or ()) == set(keys.RAW), "and every raw asset once, the empty ones too"
        assert tick(instance, twin, cursor)[0] == []
        opened = Folder("/nowhere", author.author)
        source_id = twin.warehouse.remember_source("ada", opened, {}, remembered=True)
        document = RawDocument("https://example.com/1", "web", "articles", "text/markdown", "text")
        twin.warehouse.collect("ada", source_id, [document], origin="folder", name="test")
        (request,), cursor = tick(instance, twin, cursor)
        assert request.partition_key == "ada"
        assert request.asset_selection == [keys.raw("folder")]
        assert tick(instance, twin, cursor)[0] == []


def test_what_was_never_collected_is_asked_for_again_less_and_less_often() -> None:
    state: dict[str, Any] = {}
    start = datetime(2026, 11, 29, tzinfo=UTC)
    with dg.DagsterInstance.ephemeral() as instance:

        def asked(minutes: int) -> bool:
            return bool(automation._never_collected(instance, "ada", state, start + timedelta(minutes=minutes)))

        assert [minute for minute in range(200) if asked(minute)] == [0, 2, 12, 72, 132, 192]


def test_a_reading_that_the_database_fell_out_of_is_done_again_in_the_same_run(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[str] = []

    def falls_once(*arguments: Any, **options: Any) -> Any:
        readings.append(arguments[3])
        if len(readings) == 1:
            raise sa.exc.OperationalError("SELECT 1", {}, Exception("the database system is starting up"))
        return read_platform(*arguments, **options)

    monkeypatch.setattr(assets, "read_platform", falls_once)
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={keys.raw("api")})
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("author", ["ada"])
        run = job.execute_in_process(instance=instance, partition_key="ada", resources={"twin": twin})
        assert run.success
        assert readings == ["api", "api"]
        assert instance.get_materialized_partitions(keys.raw("api")) == {"ada"}


def test_a_new_author_and_an_import_are_built_by_the_daemon(twin: Twin) -> None:
    """The sensors tick as the daemon lets them; what they ask for is run, up to the chunks."""
    targets = dg.AssetSelection.assets(*keys.CLEAN, *keys.CHUNKS)
    job = defs.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:

        def run(selection: set[dg.AssetKey]) -> None:
            job.get_subset(asset_selection=selection).execute_in_process(
                instance=instance, partition_key="ada", resources={"twin": twin}
            )

        cursor = sensors = None
        for round_ in range(8):
            if round_ == 2:
                author = twin.record_author("ada")
                source_id = twin.warehouse.remember_source("ada", Sent("POST", author.author), {}, remembered=True)
                text = "The tide turns twice a day, and the ferry waits for neither of the two. " * 8
                document = RawDocument("https://example.com/1", "web", "articles", "text/markdown", text)
                twin.warehouse.collect("ada", source_id, [document], origin="api", name="POST", complete=False)
            requests, cursor = tick(instance, twin, cursor)
            for request in requests:
                run(set(request.asset_selection or ()))
            result = evaluate(defs=defs, instance=instance, cursor=sensors, asset_selection=targets)
            sensors = result.cursor
            wanted = {key for key in (*keys.CLEAN, *keys.CHUNKS) if result.get_num_requested(key)}
            if wanted:
                run(wanted)
        assert [chunk.url for chunk in twin.warehouse.chunks.current("ada")] == ["https://example.com/1"]


def test_a_platform_that_an_upgrade_brings_is_materialised(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("author", ["ada"])
        for key in keys.RAW:
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition="ada"))
        requests, cursor = tick(instance, twin, None)
        assert requests == []
        monkeypatch.setattr(keys, "RAW", (*keys.RAW, keys.raw("zine")))
        (request,), cursor = tick(instance, twin, cursor)
        assert request.asset_selection == [keys.raw("zine")]


def test_an_override_in_the_file_starts_cleaning_anew(twin: Twin) -> None:
    author = twin.record_author("ada")
    source_id = twin.warehouse.remember_source("ada", Folder("/nowhere", author.author), {}, remembered=True)
    document = RawDocument("https://example.com/1", "web", "articles", "text/markdown", "text")
    twin.warehouse.collect("ada", source_id, [document], origin="folder", name="test")
    path = Path(twin.config)
    config = yaml.safe_load(path.read_text())
    with dg.DagsterInstance.ephemeral() as instance:
        _, cursor = tick(instance, twin, None)
        assert tick(instance, twin, cursor)[0] == []
        for override in ([{"url": "https://example.com/1", "own": False}], []):
            config["authors"][0]["override"] = override
            path.write_text(yaml.safe_dump(config))
            again = Twin(config=twin.config)
            (request,), cursor = tick(instance, again, cursor)
            assert request.asset_selection == [keys.raw("folder")]
            assert tick(instance, again, cursor)[0] == []


def test_a_correction_moves_the_node_that_serving_reports(twin: Twin) -> None:
    twin.record_author("ada")
    with dg.DagsterInstance.ephemeral() as instance:

        def versions() -> list[str]:
            found = instance.fetch_materializations(keys.INTERACTIONS, limit=10).records
            return [
                record.asset_materialization.tags[DATA_VERSION_TAG] for record in found if record.asset_materialization
            ]

        _, cursor = tick(instance, twin, None)
        _, cursor = tick(instance, twin, cursor)
        assert len(versions()) == 1
        twin.interactions.record("t1", author="ada", call="ask", query="Why?", answer="Because.")
        twin.interactions.feedback("t1", "down", correction="Because of the tide.")
        tick(instance, twin, cursor)
        assert len(set(versions())) == 2


def test_a_broken_settings_file_is_said_and_nothing_runs(tmp_path: Path) -> None:
    (tmp_path / "twin.yaml").write_text("authors: [")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance, definitions=defs, resources={"twin": Twin(config=str(tmp_path / "twin.yaml"))}
        )
        (found,) = list(collection(context))  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert isinstance(found, dg.SkipReason)
    assert "twin.yaml:1" in (found.skip_message or "")


@pytest.fixture
def collect(
    twin: Twin, replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., dg.ExecuteInProcessResult]]:
    """Materialises raw assets of the author against the replica, as a run does."""
    monkeypatch.setenv("TWIN_COLLECTION__ROUTES", json.dumps(replica.routes))
    monkeypatch.setenv("TWIN_COLLECTION__DELAY_SECONDS", "0")
    monkeypatch.setenv("TWIN_COLLECTION__ATTEMPTS", "1")
    monkeypatch.delenv("TWIN_LINKEDIN_TOKEN", raising=False)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("author", ["ada"])

        def run(platform: str, sources: list[dict[str, Any]]) -> dg.ExecuteInProcessResult:
            author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}
            config = {"authors": [{**author, "sources": sources}]}
            (tmp_path / "twin.yaml").write_text(yaml.safe_dump(config))
            replica.log.clear()
            job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={keys.raw(platform)})
            fresh = Twin(config=str(tmp_path / "twin.yaml"))
            return job.execute_in_process(
                instance=instance, partition_key="ada", raise_on_error=False, resources={"twin": fresh}
            )

        yield run


def made(result: dg.ExecuteInProcessResult) -> dg.AssetMaterialization:
    (event,) = result.get_asset_materialization_events()
    return event.materialization


def test_a_raw_asset_against_the_platforms_twice(collect: Callable[..., dg.ExecuteInProcessResult], twin: Twin,
                                                 replica: Replica) -> None:  # fmt: skip
    sources = [{"website": "https://ada.example"}, {"feed": "https://ada.example/feed.xml"}]
    first = collect("web", sources)
    assert first.success
    metadata = made(first).metadata
    assert (metadata["new"].value, metadata["fetched"].value) == (6, 6)
    assert "| https://ada.example | 7 | 6 |" in str(metadata["sources"].value)
    with twin.engine.connect() as session:
        recorded = session.execute(sa.text("SELECT recorded_at FROM author")).scalar_one()
        assert recorded <= session.execute(sa.text("SELECT min(at) FROM visit")).scalar_one()
    second = collect("web", sources)
    again = made(second).metadata
    assert (again["new"].value, again["changed"].value, again["unchanged"].value) == (0, 0, 6)
    assert again["skipped"].value == 7, "the feed's six belong to the website, whose first page is left out"
    assert replica.sent_in_full(("ada.example", "/essay")) == []
    tags = [(made(result).tags or {})[DATA_VERSION_TAG] for result in (first, second)]
    assert tags[0] == tags[1], "so nothing moves downstream"


def check_of(result: dg.ExecuteInProcessResult, name: str) -> Any:
    (found,) = [event for event in result.get_asset_check_evaluations() if event.check_name == name]
    return found


def test_a_source_that_fails_stops_no_other_and_is_said(
    collect: Callable[..., dg.ExecuteInProcessResult], twin: Twin, replica: Replica
) -> None:
    sources = [{"substack": "ada.substack.com"}, {"linkedin": "me"}, {"website": "https://ada.example"}]
    assert check_of(collect("substack", sources), "every_source_was_read").passed
    failed = collect("linkedin", sources)
    check = check_of(failed, "every_source_was_read")
    assert failed.success, "what lies behind it has a materialisation to go by"
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.ERROR, "nothing of the platform is stored"
    assert "TWIN_LINKEDIN_TOKEN is not set" in (check.description or "")
    assert made(failed).metadata["sources_failed"].value == 1
    rows = {row["kind"]: row for row in _source_rows(twin)}
    assert "TWIN_LINKEDIN_TOKEN" in rows["linkedin"]["failure"]
    assert rows["substack"]["failure"] is None
    replica.fail("ada.substack.com", "/api/v1/archive", 500)
    again = collect("substack", sources)
    assert check_of(again, "every_source_was_read").severity is dg.AssetCheckSeverity.WARN
    assert "HTTP 500" in {row["kind"]: row for row in _source_rows(twin)}["substack"]["failure"]
    assert check_of(collect("substack", sources), "every_source_was_read").passed
    assert {row["kind"]: row for row in _source_rows(twin)}["substack"]["failure"] is None


def test_one_failing_source_does_not_freeze_its_platform(
    collect: Callable[..., dg.ExecuteInProcessResult], twin: Twin, replica: Replica
) -> None:
    sources = [{"website": "https://ada.example"}, {"feed": "https://nowhere.example/feed.xml"}]
    result = collect("web", sources)
    assert made(result).metadata["new"].value == 6, "the website is read, whatever the feed does"
    assert not check_of(result, "every_source_was_read").passed
    assert (made(result).tags or {})[DATA_VERSION_TAG] == twin.raw_version("ada", "web"), "and moves what lies behind"


def test_an_import_whose_file_is_taken_away_keeps_its_documents_and_says_so_once(
    collect: Callable[..., dg.ExecuteInProcessResult], twin: Twin, tmp_path: Path
) -> None:
    author = twin.record_author("ada")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("# A note\n\nWith some words.")
    twin.warehouse.remember_source("ada", Folder(str(notes), author.author), {}, remembered=True)
    assert made(collect("folder", [])).metadata["new"].value == 1
    shutil.rmtree(notes)
    results = [collect("folder", []) for _ in range(2)]
    for result in results:
        assert check_of(result, "every_source_was_read").passed
        assert "nothing lies there any more" in str(made(result).metadata["unread"].value)
    assert twin.warehouse.documents.count("ada", "folder") == 1
    assert "nothing lies there" in _source_rows(twin)[0]["failure"]
    failing = read_platform(twin.warehouse, twin.settings, author, "folder").left
    assert [each.told for each in failing] == [True], "a warning the first time only"


def _source_rows(twin: Twin) -> list[dict[str, Any]]:
    with twin.engine.connect() as session:
        return [dict(row) for row in session.execute(sa.text("SELECT kind, failure FROM source")).mappings()]


def test_far_fewer_documents_block_the_graph(
    collect: Callable[..., dg.ExecuteInProcessResult], replica: Replica
) -> None:
    sources = [{"substack": "ada.substack.com"}]
    collect("substack", sources)
    del replica.substack[3:]
    job = collect("substack", sources)
    checks = {event.check_name: event for event in job.get_asset_check_evaluations()}
    assert not checks["nothing_vanished"].passed
    assert made(job).metadata["missing_kept"].value == 12
    assert made(job).metadata["gone"].value == 0


def test_an_export_that_is_dropped_into_an_inbox_starts_a_run_once(twin: Twin, tmp_path: Path, data: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}
    config = {"authors": [{**author, "sources": [{"linkedin_inbox": "inbox"}, {"folder": "notes"}]}]}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.ephemeral() as instance:
        _, cursor = tick(instance, twin, None)
        assert tick(instance, twin, cursor)[0] == [], "an empty inbox holds nothing new"
        shutil.copy(data / "linkedin" / "Shares.csv", inbox / "Shares.csv")
        (request,), cursor = tick(instance, twin, cursor)
        assert request.asset_selection == [keys.raw("linkedin")]
        assert tick(instance, twin, cursor)[0] == []
        with zipfile.ZipFile(inbox / "second.zip", "w") as export:
            export.write(data / "linkedin" / "Shares.csv", "Shares.csv")
        assert len(tick(instance, twin, cursor)[0]) == 1


def test_the_newest_export_of_an_inbox_counts(
    collect: Callable[..., dg.ExecuteInProcessResult], tmp_path: Path, data: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name, stamp in (("old.zip", 1_700_000_000), ("new.zip", 1_800_000_000)):
        with zipfile.ZipFile(inbox / name, "w") as export:
            export.write(data / "linkedin" / "Shares.csv", "Shares.csv")
        os.utime(inbox / name, (stamp, stamp))
    metadata = made(collect("linkedin", [{"linkedin_inbox": "inbox"}])).metadata
    assert metadata["new"].value
    (inbox / "new.zip").write_bytes(b"PK\x03\x04 cut off")
    failed = collect("linkedin", [{"linkedin_inbox": "inbox"}])
    assert not check_of(failed, "every_source_was_read").passed, "a damaged export is said, and deletes nothing"
    assert made(failed).metadata["gone"].value == 0


def test_every_raw_asset_says_how_fresh_it_should_be() -> None:
    graph = defs.resolve_asset_graph()
    for key in keys.RAW:
        assert graph.get(key).freshness_policy_or_from_metadata is not None, key


def test_the_preference_dataset_of_a_new_author_waits_for_no_collection(twin: Twin) -> None:
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={keys.PREFERENCE})
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("author", ["ada"])
        resources = {"twin": twin, "compute": Compute()}
        assert job.execute_in_process(instance=instance, partition_key="ada", resources=resources).success
