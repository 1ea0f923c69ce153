"""The dataset asset is checked in its run, and a fault in what is stored is named with its sample."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
import yaml

from benchmarks import corpus
from twin_assets import keys
from twin_assets.dataset import checks, files
from twin_assets.dataset.samples import InstructDataset
from twin_assets.definitions import defs
from twin_assets_tests.support import essays
from twin_resources.config.settings import Settings
from twin_resources.runtime.resources import Twin
from twin_resources.sources.registry import registry


@pytest.fixture
def twin(new_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Twin:
    """An author whose essays are cut into passages."""
    settings = new_settings()
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path))
    author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump({"authors": [author]}))
    made = Twin(config=str(tmp_path / "twin.yaml"))
    essays.write(tmp_path / "essays", 12)
    of = made.author("ada")
    source = registry()["folder"](str(tmp_path / "essays"), of.author)
    corpus.take(made.warehouse.engine, made.settings, of, source, source.read())
    return made


def run(twin: Twin) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("author", ["ada"])
        job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={keys.INSTRUCT})
        return job.execute_in_process(
            instance=instance, partition_key="ada", resources={"twin": twin}, raise_on_error=True
        )


def test_what_the_graph_builds_passes_and_a_fault_in_it_fails_its_check(twin: Twin) -> None:
    done = run(twin)
    found = {each.check_name: each for each in done.get_asset_check_evaluations()}
    assert set(found) == {
        "grounded", "no_leak", "splits_stay", "rightly_cited", "enough_samples", "no_duplicates", "clean_text",
        "well_formed", "balanced",
    }  # fmt: skip
    assert all(each.passed for each in found.values()), [each.description for each in found.values()]
    (made,) = done.asset_materializations_for_node(keys.INSTRUCT.to_python_identifier())
    assert "data:image/png;base64," in str(made.metadata["funnel"].value)

    # the same with faults, stored as a newer version
    version = twin.datasets.newest("ada", "instruct")
    assert version is not None
    folder = twin.artifacts.folder(version.artifact)
    stored = [sample for split in files.SPLITS for sample in files.read_samples(folder / f"{split}.parquet")]
    first = next(sample for sample in stored if sample.split == "train" and not sample.passages)
    held_out = next(sample for sample in stored if sample.split == "test" and not sample.passages)
    faulty = [
        *(each for each in stored if each is not first),
        replace(first, answer=f"{first.answer} The password is hidden. token: ghp_{'a1B2c3D4e5' * 4}"),
        replace(held_out, id="leaked", split="train"),
    ]
    with tempfile.TemporaryDirectory() as written:
        files.write_instruct(Path(written), InstructDataset("ada", faulty))
        artifact = twin.artifacts.put("datasets/instruct", Path(written))
    twin.datasets.add("faulty", "ada", "instruct", artifact, {}, ())
    found = {each.check_name: each for each in checks.results(twin, "ada")}
    assert not found["clean_text"].passed
    assert not found["no_leak"].passed
    assert found["rightly_cited"].passed
    assert first.id in str(found["clean_text"].metadata["failures"].value)
    assert "leaked" in str(found["no_leak"].metadata["failures"].value)
