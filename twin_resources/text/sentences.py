"""Where the sentences of a text begin and end."""

from __future__ import annotations

import re

CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.S)
MARKER = re.compile(r"[ \t]*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\](?!\()")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s|$)|\n+|$")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|Mr|Ms|Mrs|Dr|Prof|St|ca|approx|[zZ]\.? ?B|[dD]\.? ?h|[zZdD]|bzw)|\b[A-Z])\.$"
)
_BEFORE_NUMBERS = re.compile(r"\b(?:No|Nos|Nr|Fig|Figs|Eq|Sec|Ch|Vol|pp?)\.$")
"""Abbreviations only where a number follows: "No." may be an answer."""
_CLOSING = re.compile(r"\b(?:et al|etc|usw)\.$")
"""What may close a sentence, too: it does where a capital letter follows."""


def sentences(text: str, *, inside_code: bool = False) -> list[tuple[int, int]]:
    """Spans of the sentences of ``text``; fenced and inline code is never cut, and fenced code is no sentence."""
    code = [] if inside_code else [match.span() for match in CODE.finditer(text)]
    fences = [span for span in code if text.startswith("```", span[0])]
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end()
        if any(begin < end < stop for begin, stop in code) or _goes_on(text, start, end):
            continue
        behind = MARKER.match(text, end)
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


def _goes_on(text: str, start: int, end: int) -> bool:
    """Whether what looks like the end of the sentence from ``start`` is an abbreviation inside of it."""
    sentence, following = text[start:end], text[end:].lstrip(" \t\n")[:1]
    if _CLOSING.search(sentence):
        return bool(following) and not following.isupper()
    return bool(_ABBREVIATION.search(sentence) or (following.isdigit() and _BEFORE_NUMBERS.search(sentence)))


class SentenceBuffer:
    """Sentences of a text that comes in pieces; each is given once it is complete."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, piece: str) -> list[str]:
        """Take a piece; returns the sentences that are complete with it."""
        self._text += piece
        spans = sentences(self._text)
        whole = [span for span in spans if span[1] < len(self._text.rstrip()) or self._text.endswith("\n")]
        if not whole:
            return []
        end = whole[-1][1]
        found = [self._text[start:stop] for start, stop in whole]
        self._text = self._text[end:]
        return found

    def rest(self) -> list[str]:
        """What is left at the end."""
        found = [self._text[start:stop] for start, stop in sentences(self._text)]
        self._text = ""
        return found
