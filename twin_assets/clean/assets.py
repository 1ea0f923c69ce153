"""``clean/<category>``: snapshot 1, what fine-tuning learns from."""

import dagster as dg

from twin_assets import keys
from twin_assets.clean.clean import CODE_VERSION
from twin_assets.clean.snapshot import take_snapshot
from twin_assets.metadata import OWNERS, link, table
from twin_assets.partitions import AUTHORS
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES

_COLUMNS = ("document", "platform", "words", "kept", "removed", "quoted", "left out", "because", "overruled")


def _clean_asset(category: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.clean(category),
        deps=keys.RAW,
        group_name="clean",
        kinds={"python", "postgres"},
        owners=OWNERS,
        partitions_def=AUTHORS,
        code_version=CODE_VERSION,
        description=f"Snapshot 1 of {category}: cleaned without losing structure or style, duplicates and other "
        "people's texts left out with a reason. Feeds fine-tuning.",
    )
    def clean(context: dg.AssetExecutionContext, twin: Twin) -> dg.MaterializeResult:
        settings = twin.author(context.partition_key)
        author = settings.author
        snapshot = take_snapshot(
            twin.warehouse,
            author,
            category,
            lambda count: context.log.info(f"{count} {category} cleaned"),
            overrule=settings.overrule,
            names=twin.settings.privacy.names,
        )
        rows = twin.warehouse.clean_documents(author.id, category, excluded=True)
        urls = {row["document_id"]: row["url"] for row in rows}
        shown = [
            {
                "document": link(row["title"], row["url"]),
                "platform": row["platform"],
                "words": row["words"],
                "kept": row["kept_share"],
                "removed": ", ".join(f"{reason} {entry['count']}" for reason, entry in row["removed"].items()),
                "quoted": row["attributes"].get("quoted_words", 0),
                "left out": row["excluded"],
                "because": urls.get(row["duplicate_of"]) or (row["byline"] if row["excluded"] else None),
                "overruled": row["attributes"].get("overruled"),
            }
            for row in sorted(rows, key=lambda row: (row["excluded"] is None, row["title"]))
        ]
        used = [row for row in rows if row["excluded"] is None]
        return dg.MaterializeResult(
            data_version=dg.DataVersion(twin.warehouse.clean_hash(author.id, category)),
            metadata={
                "dagster/row_count": snapshot.used,
                "cleaned_now": snapshot.cleaned,
                "words": sum(row["words"] for row in used),
                "worst_kept_share": min((row["kept_share"] for row in used), default=1.0),
                "left_out": dict(snapshot.excluded),
                "documents": table(shown, _COLUMNS),
            },
        )

    return clean


clean_assets = [_clean_asset(category) for category in CATEGORIES]
