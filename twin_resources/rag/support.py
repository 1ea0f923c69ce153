"""Whether a passage says what a sentence says: the one definition of *supported*.

Content words alone can't tell "takes 40 minutes" from "takes 4 minutes", or "it never asks" from "it asks". So a
sentence is laid over the part of the passage that shares most with it, and what carries the meaning there has to agree:
numbers with their units, names, negations, and the order in which the words stand. No model, the same everywhere.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from twin_resources.text.sentences import CODE, MARKER, sentences
from twin_resources.text.words import STOP_WORDS, WORD, stem

SUPPORTED = 0.75
"""A sentence is supported from this score on."""

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,  ]\d+)*(?:st|nd|rd|th)?(?=\D|$)")
_NEGATIONS = frozenset(
    re.findall(
        r"\S+",
        """
        no not never none nothing nobody nowhere neither nor without cannot hardly rarely seldom
        kein keine keinen nicht nie niemals nichts ohne ne pas jamais aucun aucune rien sans ningún nunca nada sin ni
        """,
    )
)
_SMALL = (
    "zero . two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_SMALL.split()) if word != "."} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "hundred": "100",
    "thousand": "1000",
}
_OPPOSITES = [
    frozenset(pair.split("/"))
    for pair in re.findall(
        r"\S+",
        """
        always/never more/less more/fewer most/least all/none before/after above/below increase/decrease faster/slower
        fast/slow higher/lower high/low better/worse best/worst first/last large/small larger/smaller big/small
        bigger/smaller long/short longer/shorter easy/hard easier/harder true/false start/stop open/close allow/forbid
        add/remove with/without cheap/expensive online/offline up/down old/new older/newer many/few left/right on/off
        can/cannot must/may everyone/nobody
        """,
    )
]


@dataclass(frozen=True)
class Support:
    """How far a passage says what a sentence says: ``score`` in [0, 1], and what does not agree."""

    score: float
    because: tuple[str, ...] = ()

    @property
    def supported(self) -> bool:
        """Whether a reader may take the sentence for what the passage says."""
        return self.score >= SUPPORTED


@dataclass(frozen=True)
class Token:
    """A word as it is compared, and what it is: a number, a name, a negation, a word with content."""

    text: str
    key: str
    """The word in its common form, or a number as digits."""
    is_number: bool
    is_name: bool
    is_negation: bool
    is_content: bool
    is_opening: bool
    start: int


def support(sentence: str, passages: Sequence[str]) -> Support:
    """How far one of ``passages`` says what ``sentence`` says; the best of them counts."""
    said = plain(sentence)
    if not said:
        return Support(0.0, ("it says nothing",))
    for passage in passages:
        if _squeezed(said) in _squeezed(plain(passage)):
            return Support(1.0)
    mine = tokens(said)
    found = Support(0.0, ("no passage says it",))
    for passage in passages:
        for window, seam in _windows(passage):
            made = _compare(mine, tokens(window), seam=seam)
            if made.score > found.score:
                found = made
    return found


def _compare(mine: Sequence[Token], theirs: Sequence[Token], *, seam: int) -> Support:
    content = [token for token in mine if token.is_content]
    if not content:
        return Support(0.0, ("it says nothing",))
    known = {token.key for token in theirs}
    shared = sum(token.key in known for token in content) / len(content)
    if shared < 0.3:
        return Support(0.0, ("no passage says it",))
    there = [token for token in theirs if token.is_content]
    matcher = SequenceMatcher(None, [token.key for token in content], [token.key for token in there], autojunk=False)
    blocks = matcher.get_matching_blocks()
    ordered = sum(block.size for block in blocks) / len(content)
    score, because = 0.5 * shared + 0.5 * ordered, []
    if seam and _crosses([place for block in blocks for place in range(block.b, block.b + block.size)], there, seam):
        score *= 0.5
        because.append("it joins what the passage says of two things")
    for weight, reason in _disagreements(mine, theirs):
        score *= weight
        because.append(reason)
    return Support(round(min(score, 0.99), 4), tuple(because))


def _disagreements(mine: Sequence[Token], theirs: Sequence[Token]) -> Iterator[tuple[float, str]]:
    known = {token.key for token in theirs}
    for token in mine:
        if token.is_number and token.key not in known:
            yield 0.3, f"the number {token.text} is not there"
        elif token.is_name and token.key not in known:
            yield 0.4, f"the name {token.text} is not there"
    first = mine[0]
    if first.is_content and first.key not in known and not (first.is_number or first.is_name):
        keys = {token.key for token in mine}
        for other, behind in itertools.pairwise(theirs):
            if other.is_opening and other.is_content and other.key not in keys and behind.key in keys:
                yield 0.7, f"it begins with “{first.text}” where the passage has “{other.text}”"
                break
    yield from _units(mine, theirs)
    if any(
        negated[key] != there[key]
        for negated, there in ((_negated(mine), _negated(theirs)),)
        for key in negated.keys() & there.keys()
    ):
        yield 0.4, "one of them says no"
    keys = {token.key for token in mine}
    aligned = {token.key for token in _aligned(mine, theirs)}
    for token in mine:
        if token.is_content and token.key not in known:
            for pair in _OPPOSITES:
                other = next(iter(pair - {token.text.casefold()}), None) if token.text.casefold() in pair else None
                if other is not None and stem(other) in aligned and stem(other) not in keys:
                    yield 0.4, f"“{token.text}” where the passage has “{other}”"


def _crosses(matched: Sequence[int], theirs: Sequence[Token], seam: int) -> bool:
    """Whether the beginning of one sentence is joined to the end of the next, without what stands between."""
    first = [place for place in matched if theirs[place].start < seam]
    second = [place for place in matched if theirs[place].start >= seam]
    if not first or not second:
        return False
    between = range(first[-1] + 1, second[0])
    return (
        sum(theirs[place].start < seam for place in between) > 1
        and sum(theirs[place].start >= seam for place in between) > 1
    )


def _units(mine: Sequence[Token], theirs: Sequence[Token]) -> Iterator[tuple[float, str]]:
    """Numbers that count something else than they do in the passage."""
    behind: dict[str, set[str]] = {}
    for index, token in enumerate(theirs):
        if token.is_number:
            behind.setdefault(token.key, set()).update(near.key for near in theirs[max(0, index - 4) : index + 5])
    for index, token in enumerate(mine):
        if token.is_number and token.key in behind:
            unit = next((near for near in mine[index + 1 : index + 3] if near.is_content and not near.is_number), None)
            if unit is not None and unit.key not in behind[token.key]:
                yield 0.5, f"{token.text} {unit.text} is not there"


def _aligned(mine: Sequence[Token], theirs: Sequence[Token]) -> Sequence[Token]:
    """The part of the passage from the first to the last word that both share, with the word on each side."""
    keys = {token.key for token in mine if token.is_content}
    places = [index for index, token in enumerate(theirs) if token.is_content and token.key in keys]
    return theirs[max(0, places[0] - 2) : places[-1] + 2] if places else ()


def _negated(tokens: Sequence[Token]) -> dict[str, bool]:
    """Content words, and whether what is said of them is negated; words that stand both ways are left out."""
    negated: set[int] = set()
    for index, token in enumerate(tokens):
        if token.is_negation:
            behind = (place for place in range(index + 1, min(index + 6, len(tokens))) if tokens[place].is_content)
            before = (place for place in range(index - 1, max(index - 4, -1), -1) if tokens[place].is_content)
            place = next(behind, None)
            place = next(before, None) if place is None else place
            if place is not None:
                negated.add(place)
    found: dict[str, set[bool]] = {}
    for index, token in enumerate(tokens):
        if token.is_content:
            found.setdefault(token.key, set()).add(index in negated)
    return {key: values.pop() for key, values in found.items() if len(values) == 1}


def _windows(passage: str) -> Iterator[tuple[str, int]]:
    """Sentences of the passage, alone and two by two, with the place where the second begins (else 0)."""
    text = plain(passage)
    found = [text[start:end] for start, end in sentences(text, inside_code=True)]
    yield from ((each, 0) for each in found)
    for one, two in itertools.pairwise(found):
        yield f"{one} {two}", len(one)


def plain(text: str) -> str:
    """``text`` without markers and the signs of Markdown, as sentences are compared."""
    text = MARKER.sub("", CODE.sub(lambda match: match.group().strip("`"), text))
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?<!\w)[*_]{1,3}|[*_]{1,3}(?!\w)|~~", "", text)
    return re.sub(r"^[ \t]*(?:[-*+>]|\d{1,3}[.)]|#{1,6})[ \t]+", "", text, flags=re.M).strip()


def _squeezed(text: str) -> str:
    return " ".join(text.split()).casefold().strip(" .!?…:;,")


def tokens(text: str) -> list[Token]:
    """The words and numbers of plain ``text`` in order."""
    found: list[Token] = []
    opening = True
    position = 0
    for match in re.finditer(rf"{_NUMBER.pattern}|{WORD.pattern}", text):
        between = text[position : match.start()]
        opening = opening or bool(re.search(r"[.!?:…“\"]", between))
        position = match.end()
        found.append(_token(match.group(), opening=opening, start=match.start()))
        opening = False
    return found


def _token(word: str, *, opening: bool, start: int) -> Token:
    low = word.casefold().replace("’", "'")
    digits = re.sub(r"[,  ](?=\d{3}\b)|(?:st|nd|rd|th)$", "", low).replace(",", ".").lstrip("+")
    number = _NUMBER_WORDS.get(low) or (digits if re.fullmatch(r"-?\d+(?:\.\d+)*", digits) else None)
    negation = low in _NEGATIONS or low.endswith("n't")
    mixed = word[1:] != word[1:].lower() or (word[:1].isupper() and any(letter.isdigit() for letter in word))
    capital = word[:1].isupper() and not opening and low not in STOP_WORDS
    return Token(
        text=word,
        key=number or stem(low),
        is_number=number is not None,
        is_name=number is None and not negation and (mixed or capital),
        is_negation=negation,
        is_content=number is not None or (not negation and low not in STOP_WORDS and len(low) > 1),
        is_opening=opening,
        start=start,
    )
