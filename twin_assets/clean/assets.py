"""``clean/<category>``: snapshot 1, what fine-tuning learns from."""

import dagster as dg

from twin_assets import keys
from twin_assets.clean.clean import CODE_VERSION
from twin_assets.clean.snapshot import take_snapshot
from twin_assets.metadata import OWNERS, ROWS, link, stored_in, table
from twin_assets.partitions import AUTHORS
from twin_resources.database.schema import clean_document
from twin_resources.readers.extraction import EXTRACTOR
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES, Category
from twin_resources.storage.clean_store import CleanStore

_COLUMNS = ("document", "platform", "words", "kept", "removed", "quoted", "left out", "because", "overridden")


def _clean_asset(category: Category) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.clean(category),
        deps=keys.raw_of(category),
        group_name="clean",
        kinds={"python", "postgres"},
        owners=OWNERS,
        metadata=stored_in(clean_document),
        partitions_def=AUTHORS,
        code_version=f"{CODE_VERSION}/{EXTRACTOR}",
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
            override=settings.override,
            names=twin.settings.privacy.names,
        )
        store = twin.warehouse.clean
        totals = store.totals(author.id, category)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(store.hash(author.id, category)),
            metadata={
                "dagster/row_count": snapshot.used,
                "cleaned_now": snapshot.cleaned,
                "pages_read_again": snapshot.reread.pages,
                "pages_read_differently": snapshot.reread.changed,
                "words": totals.words,
                "worst_kept_share": totals.worst_kept_share,
                "left_out": dict(snapshot.excluded),
                "documents": _shown(store, author.id, category, snapshot.used + snapshot.excluded.total()),
            },
        )

    return clean


def _shown(store: CleanStore, author_id: str, category: str, total: int) -> dg.MarkdownMetadataValue:
    """The first documents as a table, those that are left out before those in use."""
    entries = store.first_entries(author_id, category, ROWS)
    urls = store.urls(author_id, category, {entry.duplicate_of for entry in entries if entry.duplicate_of})
    rows = [
        {
            "document": link(entry.title, entry.url),
            "platform": entry.platform,
            "words": entry.words,
            "kept": entry.kept_share,
            "removed": ", ".join(f"{reason} {found['count']}" for reason, found in entry.removed.items()),
            "quoted": entry.attributes.get("quoted_words", 0),
            "left out": entry.excluded,
            "because": urls.get(entry.duplicate_of or "") or (entry.byline if entry.excluded else None),
            "overridden": entry.attributes.get("overruled"),
        }
        for entry in entries
    ]
    return table(rows, _COLUMNS, total=total)


clean_assets = [_clean_asset(category) for category in CATEGORIES]
