"""Reading stored pages again with a newer extractor; nothing is fetched, and what reads as before stays as it is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from twin_resources.readers import extraction
from twin_resources.readers.extraction import Extraction
from twin_resources.readers.page import PageError
from twin_resources.storage.documents import Documents, Reextraction, VersionPage
from twin_resources.text.identity import content_id

_PAGE = 50


@dataclass
class Reread:
    """What came of reading stored pages again; ``refused`` ones the newer extractor takes for no whole article, so what
    collecting read out of them stays."""

    pages: int = 0
    changed: int = 0
    refused: int = 0


def read_again(documents: Documents, author_id: str, category: str) -> Reread:
    """Read the stored pages of a category that the extractor of today has not read yet."""
    done = Reread()
    waiting = iter(documents.pages_read_by_another(author_id, category, extraction.EXTRACTOR))
    while batch := list(itertools.islice(waiting, _PAGE)):
        found = [extracted(held) for held in batch]
        documents.add_extractions([each or _as_stored(held) for held, each in zip(batch, found, strict=True)])
        done.pages += len(batch)
        done.changed += sum(each is not None and each.content_hash is not None for each in found)
        done.refused += found.count(None)
    return done


def extracted(held: VersionPage) -> Reextraction | None:
    """What the extractor of today reads out of a stored page, or None where it finds no whole article in it."""
    try:
        page = held.page.fetched().read()
    except PageError:
        return None
    if page.gated:
        return None
    found = Extraction.of(page)
    content = (found.title, found.byline, found.body, found.published_at)
    if content == (held.title, held.byline, held.body, held.published_at):
        return _as_stored(held)
    also = dict.fromkeys((*found.others(held.document_url, held.payload.get("same", ())), *held.former_urls))
    carried = {key: held.payload[key] for key in ("same",) if key in held.payload}
    return Reextraction(
        version_id=held.page.version_id,
        document_id=held.page.document_id,
        extractor=extraction.EXTRACTOR,
        content_hash=content_id(*content[:3], found.published_at and found.published_at.isoformat()),
        title=found.title,
        byline=found.byline,
        body=found.body,
        published_at=found.published_at,
        payload={"also": list(also), **found.extra, **carried},
    )


def _as_stored(held: VersionPage) -> Reextraction:
    return Reextraction(held.page.version_id, held.page.document_id, extraction.EXTRACTOR)
