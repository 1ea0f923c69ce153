"""What a unit of a passage is worth quoting for, by its form alone: a sentence that tells something more than one that
only names its subject, poses the question, or sends the reader elsewhere."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

from twin_resources.rag.intent import Intent
from twin_resources.retrieval.sentences import Sentences
from twin_resources.text.units import Unit

_ITSELF = 0.2
"""For a sentence in which a text speaks of itself."""
_POSES = 0.12
"""For a sentence that poses the question and does not answer it."""
_REFERS = re.compile(
    r"\]\((?:https?:|/)|\bI wrote (?:about|up)\b|\bas in my\b|\b(?:find|read|learn|know)(?: out)? more\b|"
    r"\bcheck (?:it )?out\b|\bmore (?:details|information|on (?:this|that|the))\b|"
    r"\b(?:plenty|lots|tons) of (?:articles|posts|tutorials|courses|resources)\b|\w\.(?:com|org|net|io|dev)\W*$",
    re.I,
)
_EMPHASIS = re.compile(r"\*+|(?<!\w)_+|_+(?!\w)")
_PICTURE = re.compile(r"<img\b[^>]*(?:>|$)|!\[[^\]]*\]\([^)]*\)", re.I)
_LINK = re.compile(r"\[[^\]]*\]\([^)\s]*\)|https?://\S+")
_DAY = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_NAME = re.compile(r"[^\W\d_][\w.+'’-]*")
_SMALL = frozenset({"a", "an", "and", "as", "at", "by", "for", "in", "of", "on", "or", "the", "to", "vs", "with"})
_FEWEST_NAMES, _NAME_WORDS = 3, 8
"""Items from which on a list is a table of contents, and words of one of them at most."""
_LETTER = re.compile(r"[^\W\d_]")
_CAPTION = re.compile(
    r"^\W*(?:fig(?:ure|\.)? \d+|table \d+)\b[^.]{0,80}$|"
    r"^[^.]{0,80}\[?\b(?:image|photo|screenshot|diagram)s?\s(?:by|from)\s[^.]{1,60}\W*$",
    re.I,
)
_CARD = re.compile(r"^\W*\*\*[^.]{1,160}[\w)]\.(?:com|org|net|io|dev)\W*$")
"""A link as a page shows it: a bold title, what it says below, and the address."""
_WORK = r"(?:article|post|tutorial|section|lesson|newsletter|chapter|part|series)"
_ABOUT_ITSELF = re.compile(
    rf"^\W*(?:in|throughout|(?:at|by) the end of) (?:this|the (?:next|following|previous)|my) (?:\w+ )?{_WORK}s?\b|"
    rf"^\W*th(?:is|e (?:next|following)) {_WORK} (?:\w+ )?(?:aims|covers?|covered|describe[sd]?|discusse[sd]|"
    r"explain(?:s|ed)|explore[sd]|introduce[sd]|presents?|presented|provide[sd]|shows?|showed|walks|walked|will)\b|"
    r"^\W*this is (?:just |only )?(?:an?|the|my) (?:[\w-]+ ){0,2}(?:version|summary|recap|excerpt) of\b"
    rf"[^.]*\b{_WORK}\b|"
    rf"^\W*(?:this is )?(?:the )?(?:\d+(?:st|nd|rd|th)|first|second|third|last) (?:out )?of (?:\w+ ){{1,2}}{_WORK}s\b",
    re.I,
)
"""What a text says of itself ("in this article we will see…") names its subject and tells nothing of it."""
_POSING = re.compile(
    r"\b(?:I|we|you)(?: (?:did|do)(?: not|n['’]t)| never) know\b|"
    r"\b(?:no idea|wonder(?:ed|ing)?) (?:how|what|why|which|if|whether)\b|"
    r"\bthe (?:\w+ )?question (?:is|was|now|then)\b|"
    r"\blet(?:['’]s| us) (?:\w+ )?(?:see|look|take|explore|discuss|dive|find|talk|start|begin|clarify)\b|"
    r"\b(?:we|you|I)(?:['’]ll| will|['’]re (?:going to|gonna)| are going to) (?:\w+ )?"
    r"(?:see|learn|look|explore|cover|discover|discuss|dive|show|explain|talk|present|introduce|jump|"
    r"go (?:over|through))\b",
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
    stands under a picture counts as a heading, and so does what only names other texts: a link, a table of contents."""
    bare = _PICTURE.sub(lambda picture: " " * len(picture.group()), text)
    kept = [place for place, unit in enumerate(found.units) if _LETTER.search(bare[unit.start : unit.end])]
    units = [found.units[place] for place in kept]
    naming = _contents(units, [bare[unit.start : unit.end] for unit in units])
    naming |= {place for place, unit in enumerate(units) if _is_heading(text[unit.start : unit.end])}
    return Sentences(
        [replace(unit, kind="heading") if place in naming else unit for place, unit in enumerate(units)],
        found.vectors[kept],
    )


def _is_heading(text: str) -> bool:
    """Whether a unit is a caption, or says nothing beside its links and their dates."""
    beside, links = _LINK.subn(" ", text)
    only_links = links > 0 and len(_NAME.findall(_DAY.sub(" ", beside))) <= 1
    return only_links or _CAPTION.search(text) is not None or _CARD.search(text) is not None


def tells_nothing(text: str) -> bool:
    """Whether a sentence that stands alone sends the reader elsewhere, speaks of the text that it stands in, asks, or
    leads in what is not there."""
    text = _plain(text)
    if _REFERS.search(text) or _ABOUT_ITSELF.match(text):
        return True
    return leads_in(text) or _asks(text)


def _asks(text: str) -> bool:
    return text.rstrip('*_ "”)').endswith("?")


def _plain(text: str) -> str:
    """A text without emphasis, whose marks would stand where a word begins."""
    return " ".join(_EMPHASIS.sub(" ", text).split())


def leads_in(text: str) -> bool:
    """Whether a sentence leads in what follows it: a list, or a block of code."""
    return text.rstrip("*_ ").endswith(":")


def _contents(units: Sequence[Unit], texts: Sequence[str]) -> set[int]:
    """The places of items of tables of contents and of menus: lists of names in capitals that no sentence leads in."""
    found: set[int] = set()
    start = 0
    for (kind, _), block in itertools.groupby(units, key=lambda unit: (unit.kind, unit.block)):
        end = start + len(list(block))
        alone = start == 0 or not leads_in(texts[start - 1])
        if kind == "item" and end - start >= _FEWEST_NAMES and alone and all(map(_only_names, texts[start:end])):
            found |= set(range(start, end))
        start = end
    return found


def _only_names(item: str) -> bool:
    words = _NAME.findall(_LINK.sub(" ", item))
    ended = item.rstrip("*_ ").endswith((".", "!", ";", ",", ":"))
    return len(words) <= _NAME_WORDS and not ended and all(word in _SMALL or word[0].isupper() for word in words)


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
    text = _plain(text)
    if _REFERS.search(text):
        found -= 0.20
    if _ABOUT_ITSELF.match(text):
        found -= _ITSELF
    elif _POSING.search(text):
        found -= _POSES
    if _asks(text):
        found -= 0.10
    if intent == "steps" and unit.kind == "item":
        found += 0.05
    if intent in ("steps", "number") and leads_in(text):
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
