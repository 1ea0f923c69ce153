"""Whether an answer says what its sources say: every sentence, number and name of it, and of the right document."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from twin_resources.quality.samples import Check, Flag, Sample
from twin_resources.quality.sources import Place, Source, Sources, normal
from twin_resources.rag.silence import is_saying
from twin_resources.rag.support import SUPPORTED, support, tokens
from twin_resources.text.sentences import sentences
from twin_resources.text.words import content_words, plain_words

UNGROUNDED = Check("ungrounded", "a sentence of the answer stands in no source", allowed=0.02)
NUMBER = Check("invented_number", "a number of the answer is not where the answer comes from", allowed=0.02)
NAME = Check("invented_name", "a name of the answer is not where the answer comes from", allowed=0.02)
OTHER = Check("other_document", "the answer comes from another document than the sample is about", allowed=0.02)
CHECKS = (UNGROUNDED, NUMBER, NAME, OTHER)
CITED = Check("wrongly_cited", "a marker names no passage, or one that does not say the sentence")
SENTENCE = re.compile(r" \[(\d+)\](?:\s+|$)")
"""What ends a cited sentence: ``[2]``, the number of the passage that says it."""

WORDS = 5
"""A sentence of fewer words is not looked for, only its numbers and names are."""
GROUNDED = 0.85
"""Words of an answer that have to stand in sentences that its sources hold or support."""
_NEAR = 0.3
"""Share of its 3-grams that a sentence has to share with a place to be compared with it."""
_ALONE = 0.6
"""Share of an answer's words from which on a document counts as the one it comes from."""
_MISSED = 0.34
"""Share of the instruction's content words at most that the document of the answer holds, where another holds
:data:`_MET`."""
_MET = 0.67
_FOLLOWS = 0.5
"""Share of its words that a sentence shares with what stands behind the sentence before it, to come from there."""
_TELLING = 4
"""Words of a quotation from which on it tells which document is meant."""
_LEAST = 10
"""Words of an answer from which on it is asked whether it fits its instruction."""
_REST = re.compile(r"[^\W_]*")
_QUOTED = re.compile(r"[“«„\"]([^”»“\"\n]{4,300})[”»“\"]")


@dataclass(frozen=True)
class Grounding:
    """What of an answer was found in the sources: words looked for and found, those found letter for letter, and the
    documents they stand in; then what disagrees."""

    words: int = 0
    found: int = 0
    verbatim: int = 0
    documents: tuple[tuple[int, int], ...] = ()
    """(document, words), the one with most words first."""
    unsupported: str = ""
    numbers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Words that stand in sentences that the sources hold or support."""
        return self.found / self.words if self.words else 1.0


def ground(answer: str, sources: Sources, within: Sequence[int] | None = None) -> Grounding:
    """Look every sentence of an answer up in the sources, or in some of their documents."""
    text = normal(answer)
    words = found = verbatim = 0
    documents: Counter[int] = Counter()
    numbers: list[str] = []
    names: list[str] = []
    unsupported = ""
    before: Place | None = None
    for start, end in sentences(text, inside_code=True):
        sentence = text[start:end]
        size = len(plain_words(sentence))
        place = sources.find(sentence, within) if size >= 3 else None
        if place and place.share == 1.0:
            before = place
            documents[place.document] += size
            words, found, verbatim = words + size, found + size, verbatim + size
            continue
        near = place if place and place.share >= _NEAR else _behind(sentence, before, sources)
        reasons = _disagreements(sentence, near, sources)
        numbers += [each for kind, each in reasons if kind == NUMBER.name]
        names += [each for kind, each in reasons if kind == NAME.name]
        if size < WORDS:
            continue
        words += size
        if place and place.share >= _NEAR:
            documents[place.document] += round(size * place.share)
        if place and _supported(sentence, place, reasons, sources):
            found += size
        elif not unsupported:
            unsupported = sentence
    ranked = tuple(documents.most_common(4))
    return Grounding(words, found, verbatim, ranked, unsupported, tuple(numbers), tuple(names))


def _supported(sentence: str, place: Place, reasons: Sequence[tuple[str, str]], sources: Sources) -> bool:
    if place.share < _NEAR or reasons:
        return False
    return support(sentence, [sources.around(place)]).score >= SUPPORTED


def _disagreements(sentence: str, place: Place | None, sources: Sources) -> list[tuple[str, str]]:
    """Numbers and names of a sentence that the place it comes from does not hold; where it comes from nowhere, that no
    source holds."""
    changed = _changed(sentence, place, sources) if place else []
    found = [(NUMBER.name, each) for each in changed]
    if place and len(plain_words(sentence)) < WORDS:
        known, there = set(), sources.words(place.document)
    elif place:
        text = sources.around(place)
        known, there = {token.key for token in tokens(text)}, set(plain_words(text))
    else:
        known, there = set(), sources.vocabulary
    if there.issuperset(plain_words(sentence)):
        return found
    for token in tokens(sentence):
        if not (token.is_number or token.is_name) or token.key in known:
            continue
        rest = _REST.match(sentence, token.start + len(token.text))
        whole = token.text + (rest.group() if rest else "")
        if not set(plain_words(whole)) <= there and whole not in changed:
            found.append((NUMBER.name if token.is_number else NAME.name, whole))
    return found


def _behind(sentence: str, before: Place | None, sources: Sources) -> Place | None:
    """Where a sentence stands that shares no run of words with its source, if that is behind the one before it."""
    words = plain_words(sentence)
    if before is None or not words:
        return None
    first = before.word + before.words
    there = Counter(sources.span(before.document, first, first + len(words)))
    share = (Counter(words) & there).total() / len(words)
    return Place(before.document, first, len(words), share) if share >= _FOLLOWS else None


def _changed(sentence: str, place: Place, sources: Sources) -> list[str]:
    """Numbers of a sentence where its source has another number between the same words; that it may stand elsewhere
    around makes it no truer."""
    mine = plain_words(sentence)
    theirs = sources.span(place.document, place.word - len(mine), place.word + place.words + len(mine))
    steps = SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes()
    found: list[str] = []
    for kind, low, high, first, last in steps:
        if kind != "replace" or high - low == len(mine):
            continue
        there = theirs[first:last]
        if low == 0 or high == len(mine):
            beside = mine[high - 1 : high + 1] if low == 0 else mine[low - 1 : low + 1]
            there = [] if beside in map(list, itertools.pairwise(theirs)) else there
            there = there[low - high :] if low == 0 else there[: high - low]
        if len(there) == high - low:
            pairs = zip(mine[low:high], there, strict=True)
            found += [one for one, other in pairs if _digits(one) and _digits(other) not in ("", _digits(one))]
    return found


def _digits(word: str) -> str:
    return re.sub(r"\D", "", word)


def inspect(sample: Sample, sources: Sources) -> tuple[Grounding, list[Flag]]:
    """How well the answer of one sample is grounded, and what is wrong with it.

    Texts that the sample itself gives to answer from count as sources; where it does so, the answer has to stand there.
    """
    if sample.silent or is_saying(sample.answer.strip()) or not sample.answer.strip():
        return Grounding(), []
    found = ground(sample.answer, sources) if sources else Grounding()
    shown = None
    if sample.context and (is_material(sample) or not sources or found.share < GROUNDED):
        shown = ground(sample.answer, Sources(Source("", text) for text in sample.context))
        found = shown if not sources or (found.share < GROUNDED and shown.share >= found.share) else found
    return found, list(_flags(sample, found, sources, shown))


def _flags(sample: Sample, found: Grounding, sources: Sources, shown: Grounding | None) -> Iterator[Flag]:
    if found.share < GROUNDED:
        yield Flag(sample.index, UNGROUNDED.name, f"no source says “{_short(found.unsupported)}”")
    if found.numbers:
        yield Flag(sample.index, NUMBER.name, f"{', '.join(found.numbers[:5])} stands not where the rest does")
    if found.names:
        yield Flag(sample.index, NAME.name, f"{', '.join(found.names[:5])} stands not where the rest does")
    if found.share < GROUNDED or not found.words:
        return
    if shown and shown.share < 0.5 <= found.share and is_material(sample):
        yield Flag(sample.index, OTHER.name, f"the texts it gives do not say “{_short(shown.unsupported)}”")
    elif sources and (reason := _astray(sample, found, sources)):
        yield Flag(sample.index, OTHER.name, reason)


def is_material(sample: Sample) -> bool:
    """Whether the texts of a sample are long enough to answer from, and no mere input."""
    return sum(len(text.split()) for text in sample.context) >= 2 * len(sample.answer.split())


def _astray(sample: Sample, found: Grounding, sources: Sources) -> str:
    """Why the answer seems to be of another document than the sample is about; empty where it does not."""
    mine = {document for document, words in found.documents if words >= _ALONE * found.documents[0][1]}
    if not mine:
        return ""
    named = next((documents for origin in sample.origins if (documents := sources.called(origin))), [])
    if named:
        if mine & set(named):
            return ""
        inside = ground(sample.answer, sources, named)
        if inside.share >= GROUNDED:
            return ""
        return f"it names “{_short(sources.titles[named[0]] or sample.origins[0])}”, the answer stands elsewhere"
    for phrase in (normal(each) for each in _QUOTED.findall(sample.instruction)):
        size = len(plain_words(phrase))
        if size >= 3 and (here := sources.find(phrase, sorted(mine))) and here.share == 1.0:
            continue
        about = set(sources.titled(phrase))
        if not about and size >= _TELLING and (place := sources.find(phrase)) and place.share == 1.0:
            about = {place.document}
        if about and not mine & about and ground(sample.answer, sources, sorted(about)).share < GROUNDED:
            return f"it asks about “{_short(sources.titles[min(about)] or phrase)}”, the answer stands elsewhere"
    return _off_topic(sample, mine, sources) if found.words >= _LEAST else ""


def _off_topic(sample: Sample, mine: set[int], sources: Sources) -> str:
    """Why the document of the answer does not fit the instruction, judged by the instruction's content words."""
    quoted = _QUOTED.findall(sample.instruction)
    if not quoted and re.search(r"[“”„«»]", sample.instruction):
        return ""
    asked = frozenset(content_words(normal(" ".join(quoted) or sample.instruction)))
    if len(asked) < 3:
        return ""
    stems = sources.stems
    asked = frozenset(word for word in asked if any(word in each for each in stems))
    if len(asked) < 3 or any(len(asked & stems[each]) > _MISSED * len(asked) for each in mine):
        return ""
    best = max(range(len(stems)), key=lambda each: len(asked & stems[each]))
    if len(asked & stems[best]) >= _MET * len(asked):
        return f"what it asks is in “{_short(sources.titles[best] or str(best))}”, the answer stands elsewhere"
    return ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:79] + "…"


def citations(sample: Sample) -> Iterator[Flag]:
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
