"""``embeddings/<category>``: snapshot 2, what retrieval searches."""

import dagster as dg

from twin_assets import keys
from twin_assets.metadata import OWNERS, stored_in
from twin_assets.partitions import AUTHORS
from twin_resources.database.schema import embedding
from twin_resources.retrieval.sentences import SentenceIndex
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES

CODE_VERSION = "3"


def _embedding_asset(category: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.embeddings(category),
        deps=[keys.chunks(category)],
        group_name="embed",
        kinds={"python", "pgvector", "huggingface"},
        owners=OWNERS,
        metadata=stored_in(embedding),
        partitions_def=AUTHORS,
        code_version=CODE_VERSION,
        pool="embed",
        description=f"Snapshot 2 of {category}: a vector for every passage, keyed by the hash of its text and "
        "the model, so no text is embedded twice. Search switches to it when it is complete.",
    )
    def embeddings(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
        author_id = context.partition_key
        index = twin.vectors
        result: dict = {"embedded": 0}
        sentences = SentenceIndex(index.engine, index.model)
        if index.missing(author_id, category) or sentences.missing(author_id, category):
            result = compute.launch(
                context,
                "twin_assets.embed.job",
                {"author": author_id, "config": str(twin.settings.config)},
            )
        index.publish(author_id)
        count = index.count(author_id, category)
        metadata = {
            "dagster/row_count": count,
            "embedded_now": result["embedded"],
            "model": index.model,
            "dimensions": index.dimensions() or 0,
        }
        if result.get("seconds"):
            metadata["passages_per_second"] = round(result["embedded"] / result["seconds"], 1)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(index.snapshot_hash(author_id, category)), metadata=metadata
        )

    return embeddings


embedding_assets = [_embedding_asset(category) for category in CATEGORIES]
