"""What Dagster's own tables say, as Dagster writes them."""

from pathlib import Path

import dagster as dg
import yaml

from twin_assets.definitions import defs
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_serving.processes.dagster_state import orchestration
from twin_serving.processes.remedies import REMEDIES

AUTHORS = dg.DynamicPartitionsDefinition(name="author")


def test_a_stage_that_failed_is_named_with_its_reason_until_it_is_made(settings: Settings, tmp_path: Path) -> None:
    found = postgres.prepare(settings.postgres)
    url = found.dagster.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": url}}}))
    broken = {"ada", "bob"}

    @dg.asset(key=["models", "sft_adapter"], partitions_def=AUTHORS)
    def adapter(context: dg.AssetExecutionContext) -> None:
        if context.partition_key in broken:
            try:
                raise RuntimeError(f"the loss of {context.partition_key} rose")
            except RuntimeError as error:
                raise dg.Failure(description=f"training failed: {error}") from error

    @dg.asset(key=["reports", "silence"], partitions_def=AUTHORS)
    def report() -> None: ...

    def run(author: str, asset: dg.AssetsDefinition) -> None:
        dg.materialize([asset], instance=instance, partition_key=author, raise_on_error=False)

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert orchestration(found).failed == ()
        instance.add_dynamic_partitions("author", ["ada", "bob"])
        for author in ("ada", "bob"):
            run(author, adapter)
            run(author, report)
        first, second = orchestration(found).failed
        assert (first.author, first.stage) == ("ada", "models/sft_adapter")
        assert first.why == "training failed: the loss of ada rose"
        broken.clear()
        run("ada", adapter)
        assert orchestration(found).failed == (second,)


def test_a_blocking_check_that_failed_is_named_with_its_words_and_what_to_do(
    settings: Settings, tmp_path: Path
) -> None:
    found = postgres.prepare(settings.postgres)
    url = found.dagster.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": url}}}))
    broken = {"ada", "bob"}

    @dg.asset(key=["raw", "medium"], partitions_def=AUTHORS)
    def raw() -> None: ...

    @dg.asset_check(asset=raw, name="nothing_vanished", blocking=True, partitions_def=AUTHORS)
    def vanished(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        passed = context.partition_key not in broken
        return dg.AssetCheckResult(passed=passed, description=None if passed else "@ada: 9 documents are gone")

    @dg.asset_check(asset=raw, name="complete", blocking=True, partitions_def=AUTHORS)
    def figures(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        passed = context.partition_key != "bob"
        return dg.AssetCheckResult(passed=passed, metadata={"passages": 12, "vectors": 10})

    @dg.asset_check(asset=raw, name="free", partitions_def=AUTHORS)
    def free() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, description="it holds nothing up")

    @dg.asset_check(asset=raw, name="warns", blocking=True, partitions_def=AUTHORS)
    def warns() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)

    def run(author: str) -> None:
        parts = [raw, vanished, figures, free, warns]
        dg.materialize(parts, instance=instance, partition_key=author, raise_on_error=False)

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("author", ["ada", "bob"])
        for author in ("ada", "bob"):
            run(author)
        held = {(each.author, each.check): each for each in orchestration(found).blocked}
        assert set(held) == {("ada", "nothing_vanished"), ("bob", "nothing_vanished"), ("bob", "complete")}
        told = held["ada", "nothing_vanished"]
        assert (told.stage, told.why) == ("raw/medium", "@ada: 9 documents are gone")
        assert told.at.tzinfo is not None
        assert "twin run --author ada --accept-removals" in told.remedy
        assert held["bob", "complete"].why == "passages 12, vectors 10"
        assert "--select 'key:\"raw/medium\"'" in held["bob", "complete"].remedy
        broken.clear()
        run("ada")
        assert {each.author for each in orchestration(found).blocked} == {"bob"}


def test_every_blocking_check_of_the_graph_has_a_remedy() -> None:
    graph = defs.resolve_asset_graph()
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    assert blocking == set(REMEDIES)
