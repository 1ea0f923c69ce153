"""What Dagster's own tables say, as Dagster writes them."""

from pathlib import Path

import dagster as dg
import yaml

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_serving.processes.dagster_state import orchestration

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
