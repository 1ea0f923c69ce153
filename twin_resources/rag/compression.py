"""Leaving out the sentences of a passage that have nothing to do with the question, so that more passages fit.

Extractive and without a model: a sentence stays when it shares a content word with the question, stands beside one that
does, or opens the passage. What is left out is marked with an ellipsis, so nobody takes the rest for a quotation.
"""

from __future__ import annotations

from twin_resources.text.sentences import sentences
from twin_resources.text.words import content_words

ELLIPSIS = " […] "
_SHORTEST = 4


def compress(passage: str, question: str) -> str:
    """``passage`` without the sentences that do not help with ``question``; code and short passages stay whole."""
    spans = sentences(passage, inside_code=False)
    if len(spans) < _SHORTEST or "```" in passage:
        return passage
    wanted = content_words(question)
    hits = [bool(wanted & content_words(passage[start:end])) for start, end in spans]
    if not any(hits):
        return passage
    last = len(spans) - 1
    keep = [
        index == 0 or hits[index] or (index > 0 and hits[index - 1]) or (index < last and hits[index + 1])
        for index in range(len(spans))
    ]
    if sum(keep) > 0.8 * len(keep):
        return passage
    out: list[str] = []
    gap = False
    for index, (start, end) in enumerate(spans):
        if not keep[index]:
            gap = True
            continue
        before = passage[spans[index - 1][1] if index else 0 : start]
        out.append((ELLIPSIS if gap else before) + passage[start:end])
        gap = False
    return "".join(out).strip() + (ELLIPSIS.rstrip() if gap else "")
