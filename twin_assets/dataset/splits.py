"""Dividing documents between training, validation and test, the same way for ever."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from twin_resources.text.identity import share_of

Split = Literal["train", "validation", "test"]

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.1


def position(document_id: str) -> float:
    """A number in [0, 1) that depends on the document alone: the lowest are test documents, whatever learns."""
    return share_of(f"split/{document_id}")


def assign(document_ids: Iterable[str]) -> dict[str, Split]:
    """The split of each document.

    It follows from the document's id, so it never changes as the author publishes more, and the test set of today is
    never trained on tomorrow. Where so few documents exist that a split would be empty, the nearest one fills it.
    """
    ordered = sorted(set(document_ids), key=position)
    found: dict[str, Split] = {}
    for document_id in ordered:
        place = position(document_id)
        if place < TEST_SHARE:
            found[document_id] = "test"
        elif place < TEST_SHARE + VALIDATION_SHARE:
            found[document_id] = "validation"
        else:
            found[document_id] = "train"
    for index, split in enumerate(("test", "validation")):
        if split not in found.values() and len(ordered) > index + 2:
            found[ordered[index]] = split
    return found
