"""The sensor that collects on schedule, and notices what came in by another way."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
import yaml

from twin_assets import keys
from twin_assets.automation import DATA_VERSION_TAG, collection
from twin_assets.definitions import defs
from twin_resources.settings import Settings
from twin_resources.sources import RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.wiring import Twin


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
    author = twin.author("ada")
    with dg.DagsterInstance.ephemeral() as instance:
        requests, cursor = tick(instance, twin, None)
        assert requests == []
        assert instance.get_dynamic_partitions("author") == ["ada"], "new authors get their partition"
        opened = Folder("/nowhere", author.author)
        source_id = twin.warehouse.remember_source("ada", opened, {}, remembered=True)
        document = RawDocument("https://example.com/1", "web", "articles", "text/markdown", "text")
        twin.warehouse.collect("ada", source_id, [document], origin="folder", name="test")
        (request,), cursor = tick(instance, twin, cursor)
        assert request.partition_key == "ada"
        assert request.asset_selection == [keys.raw("folder")]
        assert tick(instance, twin, cursor)[0] == []


def test_an_overrule_in_the_file_starts_cleaning_anew(twin: Twin) -> None:
    author = twin.author("ada")
    source_id = twin.warehouse.remember_source("ada", Folder("/nowhere", author.author), {}, remembered=True)
    document = RawDocument("https://example.com/1", "web", "articles", "text/markdown", "text")
    twin.warehouse.collect("ada", source_id, [document], origin="folder", name="test")
    path = Path(twin.config)
    config = yaml.safe_load(path.read_text())
    with dg.DagsterInstance.ephemeral() as instance:
        _, cursor = tick(instance, twin, None)
        assert tick(instance, twin, cursor)[0] == []
        for overrule in ([{"url": "https://example.com/1", "own": False}], []):
            config["authors"][0]["overrule"] = overrule
            path.write_text(yaml.safe_dump(config))
            again = Twin(config=twin.config)
            (request,), cursor = tick(instance, again, cursor)
            assert request.asset_selection == [keys.raw("folder")]
            assert tick(instance, again, cursor)[0] == []


def test_a_correction_moves_the_node_that_serving_reports(twin: Twin) -> None:
    twin.author("ada")
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
