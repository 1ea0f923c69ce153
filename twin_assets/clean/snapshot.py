"""Cleaning what is new in a category, and deciding what of it is used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twin_resources.text.identity import content_id

from twin_assets.clean.clean import CODE_VERSION, MIN_WORDS, clean
from twin_assets.clean.duplicates import NEAR, find_duplicates
from twin_assets.clean.quotes import quoted_words
from twin_resources.config.settings import Overrule
from twin_resources.sources.base import Author
from twin_resources.storage.warehouse import LiveDocument, Warehouse
from twin_resources.text.languages import language_of
from twin_resources.text.urls import canonical_url

MAX_QUOTED = 0.8
"""A document with a larger share of its words in block quotes is passed on rather than written."""
_PAGE = 200
_CARRIED = ("path", "language", "repository", "also", "gated")

Decisions = dict[str, tuple[str | None, str | None, str | None]]


@dataclass
class Snapshot:
    """What a cleaning did: documents cleaned now, in use, and left out by reason."""

    cleaned: int = 0
    moved: int = 0
    used: int = 0
    excluded: Counter[str] = field(default_factory=Counter)


def take_snapshot(
    warehouse: Warehouse,
    author: Author,
    category: str,
    progress: Callable[[int], None] | None = None,
    *,
    overrule: Sequence[Overrule] = (),
    names: bool = False,
) -> Snapshot:
    """Clean the documents of a category that are new or changed, and settle which are used.

    Everything that is already clean stays as it is; when nothing changed, only the pointers are checked.

    Args:
        overrule: what the author decided about documents in ``twin.yaml``.
        names: take the names of other people out of the texts; switching it cleans everything anew.

    Raises:
        ScrubError: ``names``, and what finds them is not installed.
    """
    snapshot = Snapshot()
    cleaner = f"{CODE_VERSION}/names" if names else CODE_VERSION
    page: list[dict[str, Any]] = []
    for document in warehouse.live_documents(author.id, category, without_clean=cleaner):
        page.append(clean_row(document, author, cleaner, names=names))
        if len(page) == _PAGE:
            warehouse.save_clean(page)
            snapshot.cleaned += len(page)
            page = []
            if progress:
                progress(snapshot.cleaned)
    warehouse.save_clean(page)
    snapshot.cleaned += len(page)
    snapshot.moved = warehouse.settle_clean(author.id, category, cleaner)
    rows = warehouse.clean_documents(author.id, category, excluded=True)
    said = overruled(rows, overrule)
    decisions = {row["id"]: (row["excluded"], row["duplicate_of"], row["attributes"].get("overruled")) for row in rows}
    if snapshot.cleaned or snapshot.moved or any(decision[2] != said.get(key) for key, decision in decisions.items()):
        now = exclusions(rows, author, overrule)
        warehouse.set_exclusions({key: decision for key, decision in now.items() if decision != decisions[key]})
        decisions = now
    snapshot.excluded = Counter(reason for reason, _, _ in decisions.values() if reason)
    snapshot.used = len(decisions) - snapshot.excluded.total()
    return snapshot


def clean_row(
    document: LiveDocument, author: Author, cleaner: str = CODE_VERSION, *, names: bool = False
) -> dict[str, Any]:
    """The row of ``clean_document`` for one live document."""
    category = document.category
    made = clean(document.body, document.media_type, title=document.title, category=category, byline=document.byline)
    return {
        "id": content_id("clean", document.version_id, cleaner),
        "author": author.id,
        "document_id": document.document_id,
        "version_id": document.version_id,
        "cleaner": cleaner,
        "category": category,
        "platform": document.platform,
        "url": document.url,
        "title": made.title,
        "published_at": document.published_at,
        "text": made.text,
        "content_hash": content_id("text", made.title, made.text),
        "words": made.words,
        "kept_share": made.kept_share,
        "byline": made.byline,
        "attributes": _attributes(document, made.text),
        "removed": dict(made.removed),
        "excluded": None,
        "duplicate_of": None,
    }


def _attributes(document: LiveDocument, text: str) -> dict[str, Any]:
    """What is known of a document besides its text; ``language`` is that of the code, or else of the words."""
    carried = {key: document.payload[key] for key in _CARRIED if document.payload.get(key)}
    if document.category == "code":
        return carried
    found = {"language": language_of(text), "quoted_words": quoted_words(text)}
    return carried | {key: value for key, value in found.items() if value}


def overruled(rows: Sequence[Mapping[str, Any]], overrule: Sequence[Overrule]) -> dict[str, str]:
    """What the author says of each clean document they overrule, in words for a person: id to text."""
    return {row["id"]: _said(entry) for row in rows if (entry := _entry(row, overrule))}


def exclusions(rows: Sequence[Mapping[str, Any]], author: Author, overrule: Sequence[Overrule] = ()) -> Decisions:
    """Why each clean document is left out, if it is: id to (reason, id of the document it repeats, what was overruled).

    Of two documents with the same text the whole one is kept before a preview, the better structured one before one
    without paragraphs, then the one published first. What the author overrules in ``twin.yaml`` holds against all of
    it. A ``duplicate_of`` that names no document of the category changes nothing.
    """
    found: Decisions = {}
    texts: dict[str, str] = {}
    documents = {address: row["document_id"] for row in rows for address in _addresses(row)}
    for row in rows:
        entry = _entry(row, overrule)
        target = documents.get(_address(entry.duplicate_of)) if entry and entry.duplicate_of else None
        reason = None
        if entry and entry.own is False:
            reason = "not_own"
        elif target and target != row["document_id"]:
            reason = "duplicate_as_told"
        elif row["words"] < MIN_WORDS[row["category"]]:
            reason = "too_short"
        elif not (entry and entry.own):
            reason = _others_words(row, author)
        found[row["id"]] = (reason, target if reason == "duplicate_as_told" else None, _said(entry) if entry else None)
        if reason is None and not (entry and entry.decides_duplicate):
            texts[row["id"]] = row["text"]
    by_id = {row["id"]: row for row in rows}
    preference = sorted(texts, key=lambda key: _preference(by_id[key]))
    code = bool(rows) and rows[0]["category"] == "code"
    addresses = {} if code else {key: _addresses(by_id[key]) for key in texts}
    for duplicate in find_duplicates(texts, preference, near=1.0 if code else NEAR, addresses=addresses):
        reason = "exact_duplicate" if texts[duplicate.drop] == texts[duplicate.keep] else "near_duplicate"
        found[duplicate.drop] = (reason, by_id[duplicate.keep]["document_id"], found[duplicate.drop][2])
    return found


def _others_words(row: Mapping[str, Any], author: Author) -> str | None:
    """``other_author`` by the byline, ``mostly_quoted`` by the block quotes, or None."""
    if row["category"] == "code":
        return None
    if row["byline"] and not any(author.is_named(name) for name in people(row["byline"])):
        return "other_author"
    if row["attributes"].get("quoted_words", 0) > MAX_QUOTED * row["words"]:
        return "mostly_quoted"
    return None


def people(byline: str) -> list[str]:
    """The people a byline names; all of it first, for a name that holds a comma or an "and"."""
    return [byline, *(name.strip() for name in re.split(r",|&| and | und | et | y ", byline) if name.strip())]


def _entry(row: Mapping[str, Any], overrule: Sequence[Overrule]) -> Overrule | None:
    return next((entry for entry in overrule if _address(entry.url) in _addresses(row)), None) if overrule else None


def _said(entry: Overrule) -> str:
    parts = [f"own: {str(entry.own).lower()}"] if entry.own is not None else []
    return ", ".join([*parts, f"duplicate_of: {entry.duplicate_of or 'null'}"] if entry.decides_duplicate else parts)


def _addresses(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_address(url) for url in (row["url"], *row["attributes"].get("also", ()))))


def _address(url: str) -> str:
    """A URL as it is compared: without scheme, ``www.`` and a closing slash."""
    try:
        url = canonical_url(url)
    except ValueError:
        return url
    return re.sub(r"^https?://(?:www\.)?", "", url).rstrip("/")


def _preference(row: Mapping[str, Any]) -> tuple[bool, bool, str, str]:
    blocks = row["text"].count("\n\n") + 1
    flat = row["words"] / blocks > 300
    published = row["published_at"].isoformat() if row["published_at"] else "9999"
    return bool(row["attributes"].get("gated")), flat, published, row["document_id"]
