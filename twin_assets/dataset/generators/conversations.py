"""Samples that go on from earlier turns: neighbouring passages of one document, stitched into a conversation.

Each answer stays the author's own text and is learned from once; the turns before it are other samples of the dataset.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from twin_assets.dataset.samples import QUESTION, InstructSample, Turn
from twin_resources.text.identity import bucket, share_of

_MOST_TURNS = 2


def stitched(samples: Sequence[InstructSample], share: float) -> list[InstructSample]:
    """``samples``, some of them with the one or two before them of their document as earlier turns.

    Those that repeat another in other words are no turns. Test samples stay single turns, so that reports speak of the
    same questions with any share. Which samples are drawn follows from their hash.

    Args:
        samples: in the order of their passages.
        share: of those that follow another one, in [0, 1].
    """
    before: dict[str, list[InstructSample]] = defaultdict(list)
    found: list[InstructSample] = []
    for sample in samples:
        if sample.passages or sample.kind == QUESTION or sample.paraphrase_of:
            found.append(sample)
            continue
        earlier = before[sample.document_id]
        drawn = earlier and sample.split != "test" and share_of(f"conversation/{sample.id}") < share
        turns = earlier[-1 - bucket(sample.id, _MOST_TURNS) :] if drawn else ()
        found.append(replace(sample, history=tuple(Turn(each.instruction, each.answer, each.id) for each in turns)))
        earlier.append(sample)
    return found
