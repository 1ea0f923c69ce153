"""What a unit of a passage is worth quoting for, by its form alone: a sentence that tells something more than one that
only names its subject, poses the question, or sends the reader elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace

from twin_resources.rag.intent import Intent
from twin_resources.retrieval.sentences import Sentences
from twin_resources.text.units import Unit

_POSES = 0.12
"""For a sentence that poses the question and does not answer it."""
_REFERS = re.compile(
    r"\]\((?:https?:|/)|\bI wrote (?:about|up)\b|\bas in my\b|\b(?:find|read|learn|know) more\b|\bcheck (?:it )?out\b|"
    r"\bmore (?:details|information|on (?:this|that|the))\b|\w\.(?:com|org|net|io|dev)\W*$",
    re.I,
)
_PICTURE = re.compile(r"<img\b[^>]*>|!\[[^\]]*\]\([^)]*\)", re.I)
_LETTER = re.compile(r"[^\W\d_]")
_CAPTION = re.compile(
    r"^\W*(?:fig(?:ure|\.)? \d+|table \d+)\b[^.]{0,80}$|"
    r"^[^.]{0,80}\[?\b(?:image|photo|screenshot|diagram)s? (?:by|from) [^.]{1,60}\W*$",
    re.I,
)
_ABOUT_ITSELF = re.compile(
    r"^\W*(?:in|throughout) (?:this|the (?:next|following|previous)|my) (?:\w+ )?"
    r"(?:article|post|tutorial|section|lesson|newsletter|chapter|part|series)\b",
    re.I,
)
"""What a text says of itself ("in this article we will see…") names its subject and tells nothing of it."""
_POSING = re.compile(
    r"\b(?:I|we|you)(?: (?:did|do)(?: not|n['’]t)| never) know\b|"
    r"\b(?:no idea|wonder(?:ed|ing)?) (?:how|what|why|which|if|whether)\b|"
    r"\bthe (?:\w+ )?question (?:is|was|now|then)\b|"
    r"\blet(?:['’]s| us) (?:\w+ )?(?:see|look|take|explore|discuss|dive|find|talk|start|begin)\b|"
    r"\b(?:we|you|I)(?:['’]ll| will|['’]re (?:going to|gonna)| are going to) (?:\w+ )?"
    r"(?:see|learn|look|explore|cover|discover|discuss|dive|show|explain|talk)\b",
    re.I,
)
"""What says that an answer is wanted, or will come ("I didn't know the fastest way", "let's see how"), is near every
question about it, and holds none."""
_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand)\b",
    re.I,
)
_DATE = re.compile(
    r"\b(?:19|20)\d\d\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b",
    re.I,
)
_REASON = re.compile(
    r"\b(?:because|since|so that|reason|therefore|which is why|otherwise|weil|denn|parce que|porque)\b", re.I
)
_DEFINING = re.compile(r"\b(?:is|are|means|stands for|refers to|is called|ist|sind|est|sont|es|son)\b", re.I)


def worded(text: str, found: Sentences) -> Sentences:
    """Without units that hold no word, as a rule between two items, three dots, a bare number or a picture; what
    stands under a picture counts as a heading."""
    texts = [_PICTURE.sub("", text[unit.start : unit.end]) for unit in found.units]
    kept = [place for place, each in enumerate(texts) if _LETTER.search(each)]
    units = [found.units[place] for place in kept]
    return Sentences(
        [replace(unit, kind="heading") if _CAPTION.search(text[unit.start : unit.end]) else unit for unit in units],
        found.vectors[kept],
    )


def bonus(unit: Unit, text: str, intent: Intent, *, code: bool) -> float:
    """What a unit gains or loses by its form, added to how near it is to the question.

    Args:
        text: its words.
        code: whether it stands in a program.
    """
    if unit.kind == "heading":
        return -1.0
    if intent == "code":
        return 0.10 if unit.kind == "code" or code else -0.02
    if unit.kind == "code" or code:
        return -0.10
    if unit.kind == "table":
        return -0.04
    if unit.kind == "quotation":
        return -0.06
    found = 0.0
    if _REFERS.search(text):
        found -= 0.20
    if _ABOUT_ITSELF.match(text):
        found -= 0.10
    elif _POSING.search(text):
        found -= _POSES
    if text.rstrip().endswith("?"):
        found -= 0.10
    if intent == "steps" and unit.kind == "item":
        found += 0.05
    if intent in ("steps", "number") and text.rstrip("*_ ").endswith(":"):
        found += 0.06
    if intent == "number" and _NUMBER.search(text):
        found += 0.06
    if intent == "date" and _DATE.search(text):
        found += 0.06
    if intent == "reason" and _REASON.search(text):
        found += 0.04
    if intent == "definition" and _DEFINING.search(text):
        found += 0.02
    return found
