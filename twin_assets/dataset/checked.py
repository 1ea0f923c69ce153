"""Our samples as the quality checks read anybody's."""

from __future__ import annotations

from twin_assets.dataset.generators import answering
from twin_assets.dataset.samples import InstructSample
from twin_resources.quality.samples import Sample
from twin_resources.rag.prompt import spelled_out


def as_checked(sample: InstructSample, index: int = 0, published: str = "") -> Sample:
    """An instruct sample as it is checked; the right passage is the one its answer was made of.

    Its texts are as training, prompts and exports have them, with control tokens spelled out: an article about chat
    templates can be learned from.
    """
    shown = [passage.chunk_id for passage in sample.passages]
    right = sample.chunk_ids[0]
    return Sample(
        index=index,
        instruction=spelled_out(sample.instruction),
        answer=spelled_out(sample.answer),
        split=sample.split,
        context=tuple(spelled_out(passage.text) for passage in sample.passages),
        origins=(sample.url, sample.document_id),
        category=sample.category,
        published=published,
        cited=shown.index(right) + 1 if right in shown else None,
        silent=sample.kind == answering.SILENCE,
        paraphrase=bool(sample.paraphrase_of),
    )
