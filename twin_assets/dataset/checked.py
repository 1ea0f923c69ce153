"""Our samples as the quality checks read anybody's."""

from __future__ import annotations

from twin_assets.dataset.generators import answering
from twin_assets.dataset.samples import InstructSample
from twin_resources.quality.samples import Sample


def as_checked(sample: InstructSample, index: int = 0, published: str = "") -> Sample:
    """An instruct sample as it is checked; the right passage is the one its answer was made of."""
    shown = [passage.chunk_id for passage in sample.passages]
    right = sample.chunk_ids[0]
    return Sample(
        index=index,
        instruction=sample.instruction,
        answer=sample.answer,
        split=sample.split,
        context=tuple(passage.text for passage in sample.passages),
        origins=(sample.url, sample.document_id),
        category=sample.category,
        published=published,
        cited=shown.index(right) + 1 if right in shown else None,
        silent=sample.kind == answering.SILENCE,
    )
