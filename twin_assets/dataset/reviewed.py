"""Putting what people decided on samples into the next version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twin_assets.dataset.samples import InstructSample
from twin_resources.reviewing import edits
from twin_resources.reviewing.edits import Edit
from twin_resources.storage.samples.reviews import Review


def apply(
    samples: Sequence[InstructSample], sources: Mapping[str, str], reviews: Mapping[str, Review]
) -> tuple[list[InstructSample], dict[str, str]]:
    """Samples with the answers that people gave them, and reasons by the id of those that are to be left out.

    An edit that the checks have something against is left out, and so is the sample as it was generated: somebody
    found that wrong.

    Args:
        sources: texts of the passages that samples were made of, by chunk id.
        reviews: by the id of the sample as it was generated.
    """
    found: list[InstructSample] = []
    against: dict[str, str] = {}
    for sample in samples:
        review = reviews.get(sample.id)
        if review is None or review.verdict == "accepted":
            found.append(sample)
        elif review.answer is None or review.edited_id is None:
            found.append(sample)
            against[sample.id] = f"rejected in review by {review.by}"
        else:
            edited = replace(
                sample,
                id=review.edited_id,
                answer=review.answer,
                reviewed_by=review.by,
                generated_id=sample.id,
            )
            found.append(edited)
            if flags := edits.against(_edit(edited, sources.get(sample.chunk_ids[0], ""))):
                against[edited.id] = f"edited in review by {review.by}, but: {flags[0].check}"
    return found, against


def described(samples: Iterable[InstructSample], dropped: Mapping[str, int]) -> dict[str, Any]:
    """For manifests: edited samples by who edited them, and how many were left out in review; empty where nobody
    reviewed anything."""
    by = Counter(sample.reviewed_by for sample in samples if sample.reviewed_by)
    out = sum(count for reason, count in dropped.items() if " in review by " in reason)
    return {"reviewed_by": dict(sorted(by.items())), "left_out_in_review": out} if by or out else {}


def _edit(sample: InstructSample, source: str) -> Edit:
    shown = {passage.chunk_id: passage.text for passage in sample.passages}
    return Edit.of(sample.instruction, sample.answer, source, shown, sample.chunk_ids[0])
