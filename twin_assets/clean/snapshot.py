"""Cleaning what is new in a category, and deciding what of it is used."""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twin_assets.clean.clean import CODE_VERSION, MIN_WORDS, clean
from twin_assets.clean.duplicates import NEAR, Duplicate, Outlines, Preference, Texts, find_duplicates
from twin_assets.clean.extract import Reread, read_again
from twin_assets.clean.quotes import quoted_words
from twin_resources.config.settings import Override
from twin_resources.sources.base import PROFILE, Author
from twin_resources.storage.clean_store import CleanDocument, CleanEntry, CleanStore, Exclusion
from twin_resources.storage.documents import LiveDocument
from twin_resources.storage.warehouse import Warehouse
from twin_resources.text.identity import content_id
from twin_resources.text.languages import language_of
from twin_resources.text.urls import canonical_url

MAX_QUOTED = 0.8
"""A document with a larger share of its words in block quotes is passed on rather than written."""
_FLAT = 300
"""Words a paragraph, beyond which a text has lost its structure."""
_PAGE = 200
_CARRIED = ("path", "language", "repository", "also", "gated", PROFILE)


@dataclass
class Snapshot:
    """What a cleaning did: stored pages read again, documents cleaned now, in use, and left out by reason."""

    reread: Reread = field(default_factory=Reread)
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
    override: Sequence[Override] = (),
    names: bool = False,
) -> Snapshot:
    """Clean the documents of a category that are new or changed, and decide which are used.

    Everything that is already clean stays as it is; when nothing changed, only the pointers are checked.

    Args:
        override: what the author decided about documents in ``twin.yaml``.
        names: take the names of other people out of the texts; switching it cleans everything anew.

    Raises:
        ScrubError: ``names``, and what finds them is not installed.
    """
    cleaner = f"{CODE_VERSION}/names" if names else CODE_VERSION
    reread = read_again(warehouse.documents, author.id, category)
    new = warehouse.documents.live(author.id, category, without_clean=cleaner)
    cleaned = (cleaned_document(document, author, cleaner, names=names) for document in new)
    snapshot = Snapshot(reread, _store(warehouse.clean, cleaned, progress))
    snapshot.moved = warehouse.clean.point_to_current(author.id, category, cleaner)
    entries = warehouse.clean.entries(author.id, category)
    if snapshot.cleaned or snapshot.moved or any(_outdated(entry, author, override) for entry in entries):
        texts = functools.partial(warehouse.clean.texts, author.id, category)
        decided = exclusions(entries, texts, author, override)
        changed = ((entry.id, now) for entry, now in decided if now != _stored(entry))
        while page := dict(itertools.islice(changed, _PAGE)):
            warehouse.clean.set_exclusions(page)
    used = warehouse.clean.reasons(author.id, category)
    snapshot.used = used.pop(None, 0)
    snapshot.excluded = Counter({reason: count for reason, count in used.items() if reason})
    return snapshot


def _store(clean: CleanStore, documents: Iterable[CleanDocument], progress: Callable[[int], None] | None) -> int:
    """Add clean documents in pages that are each one transaction; returns how many there were."""
    count, page = 0, []
    for document in documents:
        page.append(document)
        if len(page) == _PAGE:
            clean.add(page)
            count += len(page)
            page = []
            if progress:
                progress(count)
    clean.add(page)
    return count + len(page)


def cleaned_document(
    document: LiveDocument, author: Author, cleaner: str = CODE_VERSION, *, names: bool = False
) -> CleanDocument:
    """The clean form of one live document."""
    category = document.category
    made = clean(document.body, document.media_type, title=document.title, category=category, byline=document.byline)
    return CleanDocument(
        id=content_id("clean", document.version_id, cleaner, *([document.extraction] if document.extraction else [])),
        author=author.id,
        document_id=document.document_id,
        version_id=document.version_id,
        cleaner=cleaner,
        category=category,
        platform=document.platform,
        url=document.url,
        title=made.title,
        published_at=document.published_at,
        text=made.text,
        content_hash=content_id("text", made.title, made.text),
        words=made.words,
        kept_share=made.kept_share,
        byline=made.byline,
        attributes=_attributes(document, made.text),
        removed=dict(made.removed),
        extraction=document.extraction,
    )


def _attributes(document: LiveDocument, text: str) -> dict[str, Any]:
    """What is known of a document besides its text; ``language`` is that of the code, or else of the words."""
    carried = {key: document.payload[key] for key in _CARRIED if document.payload.get(key)}
    if document.category == "code":
        return carried
    found = {"language": language_of(text), "quoted_words": quoted_words(text)}
    return carried | {key: value for key, value in found.items() if value}


def _stored(entry: CleanEntry) -> Exclusion:
    return Exclusion(entry.excluded, entry.duplicate_of, entry.attributes.get("overruled"))


def _outdated(entry: CleanEntry, author: Author, override: Sequence[Override]) -> bool:
    """Whether the author's words in ``twin.yaml``, or their name and aliases, decide otherwise than is stored."""
    decided = _decided(entry, override)
    if entry.attributes.get("overruled") != (_said(decided) if decided else None):
        return True
    others = entry.excluded == "other_author"
    return entry.excluded in (None, "other_author") and others != (
        _reason(entry, author, decided, None) == "other_author"
    )


def exclusions(
    entries: Iterable[CleanEntry], texts: Texts, author: Author, override: Sequence[Override] = ()
) -> Iterator[tuple[CleanEntry, Exclusion]]:
    """Each clean document with why it is left out, if it is.

    Of two documents with the same text the whole one is kept before a preview, the better structured one before one
    without paragraphs, then the one published first. What the author overrides in ``twin.yaml`` holds against all of
    it. A ``duplicate_of`` that names no document of the category changes nothing.

    Args:
        entries: the documents of one category in the order of their document ids; gone through two or three times.
        texts: reads the texts of some of them, by document id.
    """
    originals = _originals(entries, override)
    repeats = _repeats(entries, texts, lambda entry: _is_compared(entry, author, override, originals))
    for entry in entries:
        decided = _decided(entry, override)
        original = _original(decided, originals)
        reason = _reason(entry, author, decided, original)
        said = _said(decided) if decided else None
        repeated = repeats.get(entry.document_id)
        if repeated:
            kind = "exact_duplicate" if repeated.exact else "near_duplicate"
            yield entry, Exclusion(kind, repeated.keep, said)
        else:
            yield entry, Exclusion(reason, original if reason == "duplicate_as_told" else None, said)


def _repeats(
    entries: Iterable[CleanEntry], texts: Texts, is_compared: Callable[[CleanEntry], bool]
) -> dict[str, Duplicate]:
    """The documents whose text another one repeats or holds, by document id."""
    remaining = iter(entries)
    near = NEAR
    with Outlines() as outlines:
        while page := list(itertools.islice(remaining, _PAGE)):
            compared = {entry.document_id: entry for entry in page if is_compared(entry)}
            near = 1.0 if page[0].category == "code" else NEAR
            for key, text in texts(compared):
                entry = compared[key]
                addresses = () if entry.category == "code" else _addresses(entry)
                outlines.add(key, text, _preference(entry, text), addresses)
        return {pair.drop: pair for pair in find_duplicates(outlines, texts, near=near)}


def _is_compared(entry: CleanEntry, author: Author, override: Sequence[Override], originals: Mapping[str, str]) -> bool:
    """Whether it is to be found out if another text repeats it, or it another."""
    decided = _decided(entry, override)
    told = decided is not None and decided.decides_duplicate
    return not told and _reason(entry, author, decided, _original(decided, originals)) is None


def _originals(entries: Iterable[CleanEntry], override: Sequence[Override]) -> dict[str, str]:
    """The documents that ``duplicate_of`` names, by address."""
    named = {_address(each.duplicate_of) for each in override if each.duplicate_of}
    if not named:
        return {}
    return {address: entry.document_id for entry in entries for address in named & set(_addresses(entry))}


def _original(decided: Override | None, originals: Mapping[str, str]) -> str | None:
    return originals.get(_address(decided.duplicate_of)) if decided and decided.duplicate_of else None


def _reason(entry: CleanEntry, author: Author, decided: Override | None, original: str | None) -> str | None:
    """Why a document is left out for itself, whatever other texts hold."""
    if decided and decided.own is False:
        return "not_own"
    if original and original != entry.document_id:
        return "duplicate_as_told"
    if entry.words < MIN_WORDS[entry.category]:
        return "too_short"
    return None if decided and decided.own else _others_words(entry, author)


def _others_words(entry: CleanEntry, author: Author) -> str | None:
    """``other_author`` by the byline, ``mostly_quoted`` by the block quotes, or None."""
    if entry.category == "code":
        return None
    if entry.byline and not any(author.is_named(name) for name in people(entry.byline)):
        return "other_author"
    if entry.attributes.get("quoted_words", 0) > MAX_QUOTED * entry.words:
        return "mostly_quoted"
    return None


def people(byline: str) -> list[str]:
    """The people a byline names; all of it first, for a name that holds a comma or an "and"."""
    return [byline, *(name.strip() for name in re.split(r",|&| and | und | et | y ", byline) if name.strip())]


def _decided(entry: CleanEntry, override: Sequence[Override]) -> Override | None:
    return next((each for each in override if _address(each.url) in _addresses(entry)), None) if override else None


def _said(decided: Override) -> str:
    parts = [f"own: {str(decided.own).lower()}"] if decided.own is not None else []
    return ", ".join(
        [*parts, f"duplicate_of: {decided.duplicate_of or 'null'}"] if decided.decides_duplicate else parts
    )


def _addresses(entry: CleanEntry) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_address(url) for url in (entry.url, *entry.attributes.get("also", ()))))


def _address(url: str) -> str:
    """A URL as it is compared: without scheme, ``www.`` and a closing slash."""
    try:
        url = canonical_url(url)
    except ValueError:
        return url
    return re.sub(r"^https?://(?:www\.)?", "", url).rstrip("/")


def _preference(entry: CleanEntry, text: str) -> Preference:
    flat = entry.words / (text.count("\n\n") + 1) > _FLAT
    return Preference(whole=not entry.attributes.get("gated"), structured=not flat, published_at=entry.published_at)
