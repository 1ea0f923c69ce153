"""Cleaning what is new in a category, and deciding what of it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twin_assets.clean.clean import CODE_VERSION, MIN_WORDS, clean
from twin_assets.clean.duplicates import find_duplicates
from twin_resources.schema import content_id
from twin_resources.sources import Author
from twin_resources.warehouse import LiveDocument, Warehouse

_PAGE = 200


@dataclass
class Snapshot:
    """What a cleaning did: documents cleaned now, in use, and left out by reason."""

    cleaned: int = 0
    moved: int = 0
    used: int = 0
    excluded: Counter[str] = field(default_factory=Counter)


def take_snapshot(
    warehouse: Warehouse, author: Author, category: str, progress: Callable[[int], None] | None = None
) -> Snapshot:
    """Clean the documents of a category that are new or changed, and settle which are used.

    Everything that is already clean stays as it is; when nothing changed, only the pointers are checked.
    """
    snapshot = Snapshot()
    page: list[dict[str, Any]] = []
    for document in warehouse.live_documents(author.id, category, without_clean=CODE_VERSION):
        page.append(clean_row(document, author.id))
        if len(page) == _PAGE:
            warehouse.save_clean(page)
            snapshot.cleaned += len(page)
            page = []
            if progress:
                progress(snapshot.cleaned)
    warehouse.save_clean(page)
    snapshot.cleaned += len(page)
    snapshot.moved = warehouse.settle_clean(author.id, category, CODE_VERSION)
    rows = warehouse.clean_documents(author.id, category, excluded=True)
    decisions = {row["id"]: (row["excluded"], row["duplicate_of"]) for row in rows}
    if snapshot.cleaned or snapshot.moved:
        now = exclusions(rows, author)
        warehouse.set_exclusions({key: decision for key, decision in now.items() if decision != decisions[key]})
        decisions = now
    snapshot.excluded = Counter(reason for reason, _ in decisions.values() if reason)
    snapshot.used = len(decisions) - snapshot.excluded.total()
    return snapshot


def clean_row(document: LiveDocument, author_id: str) -> dict[str, Any]:
    """The row of ``clean_document`` for one live document."""
    made = clean(
        document.body, document.media_type, title=document.title, category=document.category, byline=document.byline
    )
    return {
        "id": content_id("clean", document.version_id, CODE_VERSION),
        "author": author_id,
        "document_id": document.document_id,
        "version_id": document.version_id,
        "cleaner": CODE_VERSION,
        "category": document.category,
        "platform": document.platform,
        "url": document.url,
        "title": made.title,
        "published_at": document.published_at,
        "text": made.text,
        "content_hash": content_id("text", made.title, made.text),
        "words": made.words,
        "kept_share": made.kept_share,
        "byline": made.byline,
        "attributes": {
            key: document.payload[key] for key in ("path", "language", "repository") if key in document.payload
        },
        "removed": dict(made.removed),
        "excluded": None,
        "duplicate_of": None,
    }


def exclusions(rows: Sequence[Mapping[str, Any]], author: Author) -> dict[str, tuple[str | None, str | None]]:
    """Why each clean document is left out, if it is: id to (reason, id of the document it repeats).

    Of two documents with the same text the better structured one is kept, then the one published first.
    """
    found: dict[str, tuple[str | None, str | None]] = {}
    texts: dict[str, str] = {}
    for row in rows:
        reason = None
        if row["words"] < MIN_WORDS[row["category"]]:
            reason = "too_short"
        elif row["byline"] and not author.is_named(row["byline"]) and row["category"] != "code":
            reason = "other_author"
        found[row["id"]] = (reason, None)
        if reason is None:
            texts[row["id"]] = row["text"]
    by_id = {row["id"]: row for row in rows}
    preference = sorted(texts, key=lambda key: _preference(by_id[key]))
    if rows and rows[0]["category"] != "code":
        duplicates = find_duplicates(texts, preference)
    else:
        duplicates = find_duplicates(texts, preference, near=1.0)
    for duplicate in duplicates:
        reason = "exact_duplicate" if texts[duplicate.drop] == texts[duplicate.keep] else "near_duplicate"
        found[duplicate.drop] = (reason, by_id[duplicate.keep]["document_id"])
    return found


def _preference(row: Mapping[str, Any]) -> tuple[bool, str, str]:
    blocks = row["text"].count("\n\n") + 1
    flat = row["words"] / blocks > 300
    return flat, row["published_at"].isoformat() if row["published_at"] else "9999", row["document_id"]
