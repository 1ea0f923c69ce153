"""Tying an answer back to its passages: which sentence rests on which, and the words that show it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twin_resources.search import Hit
from twin_serving.prompt import Passage

SUPPORT = 0.6
"""A sentence rests on a passage when the passage has at least this share of its content words, and
:data:`SHARED_WORDS` of them. A marker that the model wrote itself needs half of both."""

SHARED_WORDS = 3

_MARKER = re.compile(r"[ \t]*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\](?!\()")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.S)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s|$)|\n+|$")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|cf|vs|Mr|Ms|Mrs|Dr|No|St)|\b[A-Z])\.$")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_STOP_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        a about above after again all also am an and any are as at be because been before being below between both but
        by can could did do does doing don't down during each else even ever every few for from further get got had has
        have having he her here hers him his how i if in into is isn't it it's its itself just let like made make many
        may me might more most much must my myself no nor not now of off on once one only or other our ours out over own
        per rather really said same say says see she should since so some still such than that that's the their them
        then there these they thing things this those through to too two under until up upon us use used using very was
        way we well were what when where which while who whom whose why will with within without would yes yet you your
        yours author answer passage question
        """,
    )
)


@dataclass(frozen=True)
class Cited:
    """An answer with markers, and what each marker stands for; ``grounded`` says whether there is any."""

    answer: str
    citations: list[dict[str, Any]]

    @property
    def grounded(self) -> bool:
        """Whether at least one sentence rests on a passage."""
        return bool(self.citations)


def cite(answer: str, passages: Sequence[Passage], hits: Sequence[Hit]) -> Cited:
    """Put markers such as ``[1]`` behind the sentences that a passage supports, and list what they stand for.

    A marker the model wrote stays where its passage supports the sentence at all; one that names no passage, or one
    that has nothing to do with the sentence, is taken out. A sentence without a marker gets that of the passage that
    has most of its content words, from :data:`SUPPORT` on. Code is left as it is.

    Args:
        passages: as the model saw them, from :meth:`Rag.context`.
        hits: the hits of the passages, in the same order.
    """
    words = {passage.marker: content_words(f"{passage.title}\n{passage.text}") for passage in passages}
    by_marker = {passage.marker: (passage, hit) for passage, hit in zip(passages, hits, strict=True)}
    claims: dict[int, list[str]] = {}
    out: list[str] = []
    position = 0
    for start, end in sentences(answer):
        out.append(answer[position:start])
        position = end
        sentence, written = _without_markers(answer[start:end])
        content = content_words(_CODE.sub(" ", sentence))
        markers = [marker for marker in written if marker in words and _supports(content, words[marker], 0.5)]
        if not markers:
            best = max(words, key=lambda marker: (len(content & words[marker]), -marker), default=None)
            if best is not None and _supports(content, words[best]):
                markers = [best]
        for marker in markers:
            claims.setdefault(marker, []).append(sentence)
        out.append(_mark(sentence, markers))
    out.append(answer[position:])
    citations = [
        {
            "marker": marker,
            "chunk_id": hit.chunk_id,
            "document_id": hit.document_id,
            "title": hit.title,
            "url": hit.url,
            "platform": hit.platform,
            "quote": quote(passage.text, " ".join(claims[marker])),
        }
        for marker, (passage, hit) in sorted(by_marker.items())
        if marker in claims
    ]
    return Cited("".join(out).strip(), citations)


def quote(passage: str, claim: str) -> str:
    """The sentence of ``passage``, verbatim, that shares most with ``claim`` for its length."""
    wanted = content_words(claim)
    best, best_score = "", -1.0
    for start, end in sentences(passage, inside_code=True):
        sentence = passage[start:end].strip()
        content = content_words(sentence)
        score = 2 * len(wanted & content) / (len(wanted) + len(content)) if content else 0.0
        if sentence and score > best_score:
            best, best_score = sentence, score
    return best


def sentences(text: str, *, inside_code: bool = False) -> list[tuple[int, int]]:
    """Spans of the sentences of ``text``; fenced and inline code is never cut, and fenced code is no sentence."""
    code = [] if inside_code else [match.span() for match in _CODE.finditer(text)]
    fences = [span for span in code if text.startswith("```", span[0])]
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end()
        if any(begin < end < stop for begin, stop in code) or _ABBREVIATION.search(text[start : match.end()]):
            continue
        behind = _MARKER.match(text, end)
        if behind and text[match.start() : match.start() + 1] in ".!?…":
            end = behind.end()
        if end <= start:
            continue
        if text[start:end].strip() and not any(begin < end and start < stop for begin, stop in fences):
            lead = len(text[start:end]) - len(text[start:end].lstrip())
            trail = len(text[start:end].rstrip())
            spans.append((start + lead, start + trail))
        start = end
    return spans


def _without_markers(sentence: str) -> tuple[str, list[int]]:
    """The sentence without its markers, and the numbers they had; what looks like one in code stays."""
    code = [match.span() for match in _CODE.finditer(sentence)]
    found: list[int] = []

    def take(match: re.Match[str]) -> str:
        if any(begin <= match.start() < stop for begin, stop in code):
            return match.group()
        found.extend(int(number) for number in re.findall(r"\d+", match.group(1)))
        return ""

    return _MARKER.sub(take, sentence), list(dict.fromkeys(found))


def _mark(sentence: str, markers: Sequence[int]) -> str:
    if not markers:
        return sentence
    marks = "".join(f"[{marker}]" for marker in sorted(markers))
    body = sentence.rstrip(".!?…")
    if not body:
        return sentence
    return f"{body} {marks}{sentence[len(body) :]}"


def content_words(text: str) -> set[str]:
    """Content words in a rough common form, so that ``tides`` meets ``tide`` and ``measured`` meets ``measure``."""
    words = (word.casefold().replace("’", "'") for word in _WORD.findall(text))
    return {_stem(word) for word in words if word not in _STOP_WORDS and (len(word) > 2 or word.isdigit())}


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def _supports(sentence: set[str], passage: set[str], share: float = 1.0) -> bool:
    shared = len(sentence & passage)
    return shared >= max(1, SHARED_WORDS * share) and shared >= SUPPORT * share * len(sentence)
