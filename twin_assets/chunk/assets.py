"""``chunks/<category>``: passages within the embedder's limit."""

import dagster as dg

from twin_assets import keys
from twin_assets.chunk.chunk import CODE_VERSION
from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.metadata import OWNERS, link, stored_in, table
from twin_assets.partitions import AUTHORS
from twin_resources.database import schema
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES

_SHOWN = 8
_HOW = {
    "articles": "by heading and paragraph, with the path of headings",
    "posts": "whole where they fit",
    "code": "by definition, with path and symbol",
}


def _chunk_asset(category: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.chunks(category),
        deps=[keys.clean(category)],
        group_name="chunk",
        kinds={"python", "postgres"},
        owners=OWNERS,
        metadata=stored_in(schema.chunk),
        partitions_def=AUTHORS,
        code_version=CODE_VERSION,
        description=f"Passages of {category}, cut {_HOW[category]}, none longer than the embedder reads. They join to "
        "the clean text without gap or overlap.",
    )
    def chunks(context: dg.AssetExecutionContext, twin: Twin) -> dg.MaterializeResult:
        author_id = context.partition_key
        counter = TokenCounter.of(twin.settings)
        chunker = chunker_id(twin.settings.models.embedding, counter)
        store = twin.warehouse.chunks
        done = cut_new(
            store, author_id, category, counter, chunker, lambda count: context.log.info(f"{count} {category} cut")
        )
        totals = store.totals(author_id, category)
        sample = [
            {
                "document": link(each.title, each.url),
                "heading": " > ".join(each.heading),
                "tokens": each.tokens,
                "text": each.text,
            }
            for each in store.spread(author_id, category, _SHOWN)
        ]
        return dg.MaterializeResult(
            data_version=dg.DataVersion(store.hash(author_id, category)),
            metadata={
                "dagster/row_count": totals.chunks,
                "documents_cut_now": done.documents,
                "passages_added": done.passages,
                "mean_tokens": round(totals.tokens / totals.chunks, 1) if totals.chunks else 0.0,
                "token_limit": counter.limit,
                "sample": table(sample, ("document", "heading", "tokens", "text")),
            },
        )

    return chunks


chunk_assets = [_chunk_asset(category) for category in CATEGORIES]
