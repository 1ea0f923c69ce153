"""What a question says about where to look: dates, platforms, categories, and whether it asks several things.

Parsing only, no model. A condition is read from words that speak of the author's writing ("what did you post in 2023"),
never from the subject of the question ("the 1991 film"). Nothing here names an author, and nothing writes.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from twin_resources.rag import prompt
from twin_resources.retrieval.options import Filters
from twin_resources.text.words import content_words

_MONTHS = {name.casefold(): number for number, name in enumerate(calendar.month_name) if name}
_MONTH = "|".join(_MONTHS)
_WROTE = (
    r"(?:wr(?:ote|ite|itten)|writing|published?|publishing|posts?|posted|posting|said|say|shared?|think|thought|"
    r"articles?|essays?|newsletters?|stor(?:y|ies)|issues?|pieces?|blog(?:ged|ging)?|tutorials?|notes?)"
)
_YEAR = r"(?P<{0}>(?:19|20)\d\d)"
_NEAR = r"[^.?!\n]{0,60}?"
_BETWEEN = re.compile(
    rf"\b{_WROTE}\b{_NEAR}\b(?:between|from)\s+{_YEAR.format('first')}\s+(?:and|to|until|till)\s+{_YEAR.format('last')}\b",
    re.I,
)
_ONE = re.compile(
    rf"\b{_WROTE}\b{_NEAR}\b(?P<how>in|during|from|of|before|until|since|after)\s+"
    rf"(?:(?:the\s+)?(?:year\s+)?|(?P<month>{_MONTH})\s+(?:of\s+)?){_YEAR.format('year')}\b(?!['’]s?\s)",
    re.I,
)
_LEADING = re.compile(
    rf"^(?P<how>in|during|before|since|after)\s+(?:(?P<month>{_MONTH})\s+)?{_YEAR.format('year')}\b,?\s+{_NEAR}\byou\b"
    rf"{_NEAR}\b{_WROTE}\b",
    re.I,
)
_RELATIVE = re.compile(
    rf"\b{_WROTE}\b{_NEAR}\b(?P<span>last|this|past)\s+(?P<unit>week|month|year)\b",
    re.I,
)
_PLATFORMS = {
    "medium": r"\b(?:on|from|in)\s+(?:your\s+)?Medium\b",
    "substack": r"\b(?:on|from|in)\s+(?:your\s+)?Substack\b",
    "linkedin": r"\b(?:on|from|in)\s+(?:your\s+)?LinkedIn\b|\bLinkedIn\s+posts?\b",
    "github": r"\b(?:on|from|in)\s+(?:your\s+)?GitHub\b|\byour\s+repositor(?:y|ies)\b",
    "mastodon": r"\b(?:on|from)\s+(?:your\s+)?Mastodon\b",
}
_CATEGORIES = {
    "code": r"\b(?:in|from)\s+your\s+(?:code|repositor(?:y|ies)|repos?)\b|\byour\s+code\b",
    "posts": r"\b(?:in|from)\s+(?:a\s+|your\s+|one\s+of\s+your\s+)?(?:short\s+)?posts?\b|\byour\s+posts\b",
    "articles": r"\b(?:in|from)\s+(?:an?\s+|your\s+|one\s+of\s+your\s+)?(?:articles?|essays?)\b|"
    r"\byour\s+(?:articles|essays)\b",
}
_ASKING = r"(?:who|what|when|where|why|how|which|do|does|did|is|are|was|were|can|could|should|would|will)"
_PARTS = re.compile(rf"(?<=\?)\s+(?=\S)|,?\s+and\s+(?={_ASKING}\b)|;\s+(?={_ASKING}\b)", re.I)
_COMPARED = (
    re.compile(
        r"\b(?:difference|differences|differ|choose|trade-?offs?)\s+between\s+(?P<one>.+?)\s+and\s+(?P<two>[^?.,]+)",
        re.I,
    ),
    re.compile(
        r"\b(?:compare|contrast)\s+(?P<one>.+?)\s+(?:and|with|to|against)\s+(?P<two>[^?.,]+)|"
        r"\b(?:how|does|do)\b.{0,20}?\b(?P<one_>[\w-]+(?: [\w-]+){0,3}?)\s+compares?\s+(?:with|to|against)\s+"
        r"(?P<two_>[^?.,]+)",
        re.I,
    ),
)
_SHORTEST_PART = 3


@dataclass(frozen=True)
class Understood:
    """A question, read: ``parts`` are what to search for (the question itself when it asks one thing), ``filters``
    where to look, and ``because`` the words each condition was read from."""

    parts: tuple[str, ...]
    filters: Filters
    because: dict[str, str] = field(default_factory=dict)


def understand(
    question: str,
    given: Filters,
    *,
    platforms: Collection[str],
    categories: Collection[str],
    published: tuple[datetime, datetime] | None,
    now: datetime | None = None,
) -> Understood:
    """Read a question.

    Args:
        given: conditions set by the caller, which stay as they are.
        platforms: those the author has something on; no other is ever read.
        categories: those the author has something in.
        published: the earliest and the latest date of the author's work; a time outside of it is not a condition.
    """
    now = now or datetime.now(UTC)
    filters, because = given, {}
    if not given.platform:
        for platform, pattern in _PLATFORMS.items():
            if platform in platforms and (match := re.search(pattern, question, re.I)):
                filters = replace(filters, platform=[platform])
                because["platform"] = match.group().strip()
                break
    if not given.category:
        for category, pattern in _CATEGORIES.items():
            if category in categories and (match := re.search(pattern, question, re.I)):
                filters = replace(filters, category=[category])
                because["category"] = match.group().strip()
                break
    if published and not (given.published_from or given.published_to):
        span = _span(question, now)
        if span:
            first, last, words = span
            if (first or published[0]) <= published[1] and (last or published[1]) >= published[0]:
                filters = replace(filters, published_from=first, published_to=last)
                because["published"] = words
    return Understood(decompose(question), filters, because)


def decompose(question: str) -> tuple[str, ...]:
    """The questions inside a compound one, the whole of it first; a simple question comes back alone. A part that leans
    on another ("and what do they mean?") names nothing to look for, and is asked by the whole alone."""
    text = " ".join(question.split())
    for pattern in _COMPARED:
        if match := pattern.search(text):
            found = [value.strip(" ?.,") for value in match.groups() if value]
            if len(found) == 2 and all(1 <= len(value.split()) <= 8 for value in found):
                return (text, *found)
    parts = [part.strip(" ,;") for part in _PARTS.split(text) if part and part.strip(" ,;")]
    if len(parts) > 1 and all(len(part.split()) >= _SHORTEST_PART for part in parts):
        alone = [part for part in parts if not leans(part)]
        return (text, *alone[:4])
    return (text,)


_POLITE = r"(?:(?:please|so|ok(?:ay)?|hey|hi|hello|well|now)\b[,.!]?\s+)*(?:(?:can|could|would|will) you (?:please )?)?"
_WANTED = r"(?:(?:a (?:bit|little)|some(?:thing)?|anything|everything|all|more)\s+)*"
_OPINION = r"(?:opinions?|views?|thoughts?|take|advice|tips|position|stance|experiences?|approach|attitude|ideas?)"
_ABOUT = r"(?:about|on|of|regarding|concerning|with|to|for|from)"
_SAYING = (
    r"(?:think|know|write|written|say|said|learn|learned|learnt|recommend|suggest|advise|(?:tell|teach) (?:me|us))"
)
_ONLY_ASKING = re.compile(
    rf"^{_POLITE}(?:"
    rf"(?:tell|teach|remind) (?:me|us) {_WANTED}(?:about|of)|"
    rf"(?:i['’]d like|i would like|i['’]d love|i would love|i want|i need) to (?:know|hear|learn|read) {_WANTED}about|"
    rf"what (?:else )?(?:do|did|have|can|could|would) you (?:\w+ )?{_SAYING} {_ABOUT}|"
    rf"(?:what(?:['’]s| is| are)|do you have|have you got|got|any|give (?:me|us)|share) (?:(?:any|some|your|an?) )*"
    rf"{_OPINION} {_ABOUT}|"
    rf"(?:have|did|do) you (?:ever )?(?:written|write|posted|post|said|say|talked|talk) {_WANTED}(?:about|on)|"
    rf"how do you feel about|{_WANTED}about|(?:what|how) about)\s+"
    r"(?P<subject>(?!(?:in|during|on|at|last|this|before|after|since|it|that|them|these|those)\b)\S.*)$",
    re.I | re.S,
)


def subject(question: str) -> str:
    """What a question is about, without the words that only ask: "tell me about tides" is about "tides".

    Those words have no place in the author's work, and a short question has few others. One that asks in any other way
    comes back as it is.
    """
    match = _ONLY_ASKING.match(" ".join(question.split()))
    return match["subject"] if match else question


REWRITES = 3


def rewriting(question: str) -> list[dict[str, str]]:
    """Chat messages that ask a language model for other words of a question."""
    wanted = (
        f"Write {REWRITES} short search queries that find passages answering the question below, each on a line of its "
        "own, in other words than the question's. Write nothing else."
    )
    return [{"role": "user", "content": f"{wanted}\n\n{prompt.neutral(question)}"}]


def rewritten(text: str, question: str) -> tuple[str, ...]:
    """The queries in a model's answer: at most :data:`REWRITES`, none too long, none twice, not the question itself."""
    found: list[str] = []
    for line in text.splitlines():
        query = re.sub(r"^\s*(?:[-*•]|\d+[.)])\s*", "", line).strip(" \"'`")
        known = {other.casefold() for other in (question, *found)}
        if 2 <= len(query.split()) <= 25 and query.casefold() not in known:
            found.append(query)
    return tuple(found[:REWRITES])


def _span(question: str, now: datetime) -> tuple[datetime | None, datetime | None, str] | None:
    if match := _BETWEEN.search(question):
        first, last = sorted((int(match["first"]), int(match["last"])))
        return _start(first), _end(last), match.group()
    match = _ONE.search(question) or _LEADING.search(question)
    if match:
        month = _MONTHS.get((match["month"] or "").casefold())
        year, how = int(match["year"]), match["how"].casefold()
        if how in ("before", "until"):
            return (
                None,
                (_start(year, month) - timedelta(microseconds=1) if how == "before" else _end(year, month)),
                (match.group()),
            )
        if how == "since":
            return _start(year, month), None, match.group()
        if how == "after":
            return _end(year, month) + timedelta(microseconds=1), None, match.group()
        return _start(year, month), _end(year, month), match.group()
    if match := _RELATIVE.search(question):
        days = {"week": 7, "month": 31, "year": 366}[match["unit"].casefold()]
        if match["span"].casefold() == "last" and match["unit"].casefold() == "year":
            return _start(now.year - 1), _end(now.year - 1), match.group()
        return now - timedelta(days=days), None, match.group()
    return None


def _start(year: int, month: int | None = None) -> datetime:
    return datetime(year, month or 1, 1, tzinfo=UTC)


def _end(year: int, month: int | None = None) -> datetime:
    month = month or 12
    following = datetime(year + (month == 12), month % 12 + 1, 1, tzinfo=UTC)
    return following - timedelta(microseconds=1)


def words_of(filters: Filters) -> dict[str, Sequence[str] | str]:
    """Conditions in plain words, for a response."""
    said: dict[str, Sequence[str] | str] = {}
    for name in ("category", "platform", "language", "url"):
        if values := getattr(filters, name):
            said[name] = list(values)
    for name in ("published_from", "published_to"):
        if value := getattr(filters, name):
            said[name] = value.isoformat()
    return said


_GOING_ON = re.compile(
    r"^(?:and|but|or|so|then|also|really|ok(?:ay)?,? (?:and|but|so)|(?:what|how) about|und|aber|et|mais|y|pero)\b", re.I
)
_ELLIPTIC = re.compile(r"^(?:how|why|since|until|which|whose|where|when|in|on|by|for|with)(?: \w+){0,2}\W*$", re.I)
"""Too short to name what it is about: "How often?", "In which year?"."""
_NAMING_NOTHING = content_words(
    """
    advantage advice alternative answer basics benefit best better bit case catch cause code common compare con
    condition consequence cost depend describe detail difference different disadvantage downside drawback effect
    elaborate example exception expand expensive explain explanation fast find further general give good happen
    hard help important kind lesson like limit limitation long look main matter mean meaning mistake more
    necessary need next number option order other part people please point possible practice prefer price pro
    problem purpose question quick reason recommend requirement result right risk rule say see shorter show side
    simple simpler slow solution sort source start step summarise summarize summary take tell term thing think
    time tip two understand upside use useful version want way what why word work worse worst worth write wrong
    """
)
"""Words that ask for something of a subject and name none: "What are the drawbacks?", "Can you give an example?"."""
_POINTING = re.compile(
    r"\b(?:it|its|this|these|those|they|them|their|he|him|his|she|her|former|latter|instead|else|again|"
    r"(?:is|was|are|were|does|did|do|has|of|about|with|by|for|from) that)\b",
    re.I,
)
_EXPLETIVE = re.compile(
    r"\b(?:(?:is|was|be) it|it(?:['’]s| is| was)) (?:[\w-]+ ){0,3}?(?:to|that)\b|\b(?:does|did) it take to\b",
    re.I,
)
"""An "it" that stands for what follows: "Why is it hard to…", "How long did it take to…"."""
_AT_THE_END = re.compile(r"\b(?:it|them|that|this|there|then|him|her)\W*$", re.I)
_OWN_SUBJECT, _OWN_STORY = 2, 4
"""From so many words of its own on, a question means these by "it" and "they"; by an "it" that ends it, from more."""
_MOST_BROUGHT = 3
"""Earlier questions that one may bring along."""


def leans(question: str) -> bool:
    """Whether a question needs what was asked before: it goes on from that, names nothing, or points to something
    before it has named anything itself. A new subject stands on its own, however short."""
    text = " ".join(question.split())
    if content_words(text) <= _NAMING_NOTHING or _GOING_ON.search(text) or _ELLIPTIC.search(text):
        return True
    text = _EXPLETIVE.sub(" ", text)
    pointing = ((_POINTING, _OWN_SUBJECT), (_AT_THE_END, _OWN_STORY))
    return any(
        len(content_words(text[: found.start()])) < enough
        for pattern, enough in pointing
        if (found := pattern.search(text))
    )


def condensed(question: str, history: Sequence[Mapping[str, str]]) -> str:
    """``question`` as it can be searched for on its own: one that leans on what was asked before brings that along,
    back to the question that named what they are about.

    Args:
        history: earlier turns with ``role`` and ``content``, the oldest first.
    """
    asked = [turn["content"] for turn in history if turn["role"] == "user"]
    if not asked or not leans(question):
        return question
    brought: list[str] = []
    for earlier in reversed(asked[-_MOST_BROUGHT:]):
        brought.insert(0, earlier.strip())
        if not leans(earlier):
            break
    return " ".join((*brought, question))
