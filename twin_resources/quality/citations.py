"""Whether the markers of an answer lead to the passage that says it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from twin_resources.quality.samples import Check, Flag, Sample
from twin_resources.quality.sources import normal
from twin_resources.rag.silence import is_saying
from twin_resources.rag.support import support

CITED = Check("wrongly_cited", "a marker names no passage, or one that does not say the sentence")
CHECKS = (CITED,)
SENTENCE = re.compile(r" \[(\d+)\](?:\s+|$)")
"""What ends a cited sentence: ``[2]``, the number of the passage that says it."""


def inspect(sample: Sample) -> Iterator[Flag]:
    """What is wrong with the markers of a sample with passages."""
    if not sample.context or sample.silent or is_saying(sample.answer.strip()):
        return
    *cited, _ = SENTENCE.split(sample.answer)
    texts = [normal(text) for text in sample.context]
    for sentence, marker in zip(cited[::2], map(int, cited[1::2]), strict=True):
        if not 1 <= marker <= len(texts):
            yield Flag(sample.index, CITED.name, f"[{marker}] is none of its {len(texts)} passages")
            return
        if sample.cited is not None and marker != sample.cited:
            yield Flag(sample.index, CITED.name, f"[{marker}] is not the passage that answers")
            return
        said = normal(sentence)
        if said not in texts[marker - 1] and not support(said, [texts[marker - 1]]).supported:
            yield Flag(sample.index, CITED.name, f"passage {marker} does not say “{said[:60]}”")
            return
