"""Pairs of texts for blind tests: Ada's on her documents, beside what a version made of each."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from twin_assets_tests.support.site import DOCUMENTS, SITE
from twin_resources.storage.reports import Reports
from twin_resources.style.blind.pairs import Pair
from twin_resources.text.identity import content_id, document_id

OWN = "Ada herself says so"
"""What each of her texts ends with, and no other."""


def pairs_of(version: str) -> list[Pair]:
    """A pair of each of the four documents that :func:`~twin_assets_tests.support.site.seed` writes."""
    return [
        Pair(
            document_id=document_id("ada", f"{SITE}/{name}"),
            instruction=f"Write about this: {title}.",
            own=f"{text} {OWN}.",
            written=f"So {version} has it: {title}.",
        )
        for name, _, title, text in DOCUMENTS
    ]


def add_pairs(database: sa.Engine, version: str) -> None:
    """A style report on a version, with its pairs."""
    pairs = [asdict(each) for each in pairs_of(version)]
    figures = {"measured": False, "because": "too little text", "pairs": pairs}
    Reports(database).add(content_id("style", version), "ada", "style", version, figures, "reports/none")
