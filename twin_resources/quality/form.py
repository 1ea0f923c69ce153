"""Whether a sample has the form of one: an answer at all, in the right language, of sensible length, readable."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator

from twin_resources.quality.samples import Check, Flag, Sample
from twin_resources.text.languages import language_of
from twin_resources.text.sentences import CODE, MARKER
from twin_resources.text.words import STOP_WORDS, gram_sequence, plain_words

EMPTY = Check("empty", "there is no instruction or no answer")
LANGUAGE = Check("language", "the answer is in another language than the rest", allowed=0.02)
LENGTH = Check("length", "far longer than a model reads at once", allowed=0.02, blocking=False)
READABILITY = Check("readability", "hardly any words, words that go in circles, or a broken encoding", allowed=0.02)
PREFERENCE = Check("no_preference", "what is chosen is what is rejected")
CHECKS = (EMPTY, LANGUAGE, LENGTH, READABILITY, PREFERENCE)

MOST_WORDS = 3000
_PLACEHOLDER = re.compile(
    r"(?:n/?a|nan|null|none|nil|undefined|todo|tbd|fixme|xxx+|\[(?:removed|deleted|empty|answer|response|output|blank)\]|"
    r"<(?:empty|no ?input|noinput|answer|response|output|blank)>|no (?:answer|response|output|input)|empty|placeholder|"
    r"(?:answer|response|output|your (?:answer|response)) (?:goes )?here|lorem ipsum.*)[.!]?",
    re.I | re.S,
)
_LEAST_WORDS = 8
_ENGLISH = 0.08
"""Share of English function words from which on a text is taken for English without a closer look."""
_SHARED = frozenset(
    re.findall(
        r"\S+",
        """
        a all also am an as at be can do down her him in is it me my no of on over per so up use was we will
        """,
    )
)
"""Function words of English that are words of other languages too."""
_FUNCTION = STOP_WORDS - _SHARED
_WORD_LETTERS = 0.3
_LOOPED = 0.2
"""Distinct 3-grams of an answer of :data:`_LOOP_WORDS` words or more at least."""
_LOOP_WORDS = 30
_MOJIBAKE = re.compile(r"�|Ã[\x80-\xbf©¨¤¶¼±³¡­]|â€[™œ\x9d“”˜¦]|Â[\xa0£©®°·]")


def inspect(sample: Sample, languages: Collection[str]) -> Iterator[Flag]:
    """What is wrong with the form of one sample.

    Args:
        languages: those that answers may be in; any where there are none.
    """
    answer = sample.answer.strip()
    if reason := _empty(sample, answer):
        yield Flag(sample.index, EMPTY.name, reason)
        return
    if languages and not sample.silent and (found := _foreign(answer, languages)):
        yield Flag(sample.index, LANGUAGE.name, f"it is {found}, not {' or '.join(sorted(languages))}")
    if sample.rejected is not None and plain_words(sample.rejected) == plain_words(answer):
        yield Flag(sample.index, PREFERENCE.name, "chosen and rejected say the same")
    words = len(answer.split())
    if words > MOST_WORDS:
        yield Flag(sample.index, LENGTH.name, f"the answer has {words:,} words")
    elif len(sample.instruction.split()) > MOST_WORDS:
        yield Flag(sample.index, LENGTH.name, f"the instruction has {len(sample.instruction.split()):,} words")
    if reason := _unreadable(answer):
        yield Flag(sample.index, READABILITY.name, reason)


def _empty(sample: Sample, answer: str) -> str:
    if not any(letter.isalnum() for letter in answer):
        return "the answer is empty" if not answer else f"the answer is only “{answer[:20]}”"
    if not any(letter.isalnum() for letter in sample.instruction):
        return "the instruction is empty"
    if _PLACEHOLDER.fullmatch(answer):
        return f"the answer is only “{answer[:30]}”"
    if len(answer.split()) > 3 and plain_words(answer) == plain_words(sample.instruction):
        return "the answer repeats the instruction"
    return ""


def _foreign(answer: str, languages: Collection[str]) -> str | None:
    """The language of an answer where that is surely none of ``languages``."""
    prose = unicodedata.normalize("NFKC", CODE.sub(" ", MARKER.sub("", answer)))
    words = plain_words(prose)
    if len(words) < _LEAST_WORDS and prose.isascii():
        return None
    if "en" in languages and sum(word in _FUNCTION for word in words) >= _ENGLISH * len(words):
        return None
    found = language_of(prose)
    return found if found not in (None, "zxx") and found not in languages and not _is_list(prose) else None


def _is_list(text: str) -> bool:
    """Whether a text is mostly names, numbers and signs, which are of no language."""
    words = text.split()
    plain = sum(word[:1].islower() or not word.isascii() for word in words)
    return plain < 0.5 * len(words)


def _unreadable(answer: str) -> str:
    prose = CODE.sub(" ", answer)
    if len(_MOJIBAKE.findall(prose)) > 1 or "�" in prose:
        return "its encoding is broken"
    solid = re.sub(r"\s", "", prose)
    if len(solid) >= 40 and sum(letter.isalnum() for letter in solid) < _WORD_LETTERS * len(solid):
        return "it is mostly signs"
    found = gram_sequence(prose, 3)
    if len(found) >= _LOOP_WORDS and len(set(found)) < _LOOPED * len(found):
        return "it says the same again and again"
    return ""


class Languages:
    """The languages a dataset is in: those of a tenth of its sources or more, else of its answers."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, text: str) -> None:
        """Count the language of one text."""
        if found := language_of(text):
            self._counts[found] += 1

    @property
    def main(self) -> frozenset[str]:
        """The languages of at least a tenth of the texts."""
        total = self._counts.total()
        return frozenset(name for name, count in self._counts.items() if 10 * count >= total)
