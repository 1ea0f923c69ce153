"""Real prose of two authors that ship with the project, and few impostors, so that a style is known in seconds."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from twin_assets.clean.clean import clean
from twin_assets_tests.support import essays
from twin_resources.config.settings import AuthorSettings
from twin_resources.sources.base import RawDocument
from twin_resources.sources.registry import registry
from twin_resources.storage.clean_store import CleanDocument
from twin_resources.style.profile import Profile, build
from twin_resources.style.reference import Group, Reference, packaged

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "sample"


@functools.cache
def few_impostors() -> Reference:
    """The packaged reference with every fifth text."""
    reference = packaged()
    first, second, third = (_every_fifth(group) for group in reference.groups)
    return replace(reference, groups=(first, second, third))


def _every_fifth(group: Group) -> Group:
    return group.take(np.arange(0, len(group.authors), 5))


@functools.cache
def mira_texts() -> tuple[str, ...]:
    """The articles of the sample author as Markdown."""
    of = AuthorSettings(id="mira", name="Mira Solberg", consent="These accounts are mine. 2026-11-21").author
    found = []
    for kind, folder in (("medium_export", "medium"), ("substack_export", "substack")):
        items = [item for item in registry()[kind](str(SAMPLE / folder), of).read() if isinstance(item, RawDocument)]
        for item in items:
            if item.category == "articles" and item.byline in (None, "Mira Solberg"):
                cleaned = clean(item.body, item.media_type, category="articles", title=item.title)
                found.append(cleaned.text)
    return tuple(dict.fromkeys(found))


@functools.cache
def mira() -> Profile:
    """Her profile."""
    return build("mira", "key", documents(mira_texts()), few_impostors())


def essay_texts(count: int) -> tuple[str, ...]:
    """Essays of the author of essays, who writes nothing like Mira."""
    return tuple(essays.essay(number) for number in range(count))


def documents(texts: tuple[str, ...]) -> list[CleanDocument]:
    """Clean documents with these texts."""
    common: dict[str, Any] = {
        "author": "mira", "version_id": "v", "cleaner": "test", "category": "articles", "platform": "web",
        "published_at": None, "content_hash": "h", "kept_share": 1.0, "byline": None, "attributes": {}, "removed": {},
    }  # fmt: skip
    return [
        CleanDocument(
            **common, id=f"c{row}", document_id=f"d{row}", url=f"https://mira.example/{row}", title=f"Text {row}",
            text=text, words=len(text.split()),
        )
        for row, text in enumerate(texts)
    ]  # fmt: skip
