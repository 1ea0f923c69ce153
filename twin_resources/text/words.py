"""Words and what can be counted in them: content words, and shingles that tell whether two texts are one."""

from __future__ import annotations

import re
import zlib
from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

Word = TypeVar("Word", bound=Hashable)

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
PLAIN_WORD = re.compile(r"[^\W_]+")
"""Letters and digits alone, for counting and comparing: ``don't`` is two."""
STOP_WORDS = frozenset(
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


def plain_words(text: str) -> list[str]:
    """The words of a text in lower case, without any punctuation."""
    return PLAIN_WORD.findall(text.casefold())


def content_words(text: str) -> set[str]:
    """Content words in a rough common form, so that ``tides`` meets ``tide`` and ``measured`` meets ``measure``."""
    words = (word.casefold().replace("’", "'") for word in WORD.findall(text))
    return {stem(word) for word in words if word not in STOP_WORDS and (len(word) > 2 or word.isdigit())}


def shingles(words: Sequence[Word], size: int = 5) -> Iterator[tuple[Word, ...]]:
    """The runs of ``size`` words of a text, in order (Broder 1997, "On the resemblance and containment of documents").

    Fewer words are one run, and none are an empty one. What a word is, and whether it is kept as it is or as a hash, is
    up to the caller.
    """
    if len(words) < size:
        return iter([tuple(words)])
    return zip(*(words[start:] for start in range(size)), strict=False)


def gram_sequence(text: str, size: int = 5) -> list[int]:
    """Hashes of the :func:`shingles` of a text's plain words in order, the same in every process; none for no words."""
    words = [zlib.crc32(word.encode()) for word in plain_words(text)]
    return list(map(hash, shingles(words, size))) if words else []


def grams(text: str, size: int = 5) -> frozenset[int]:
    """The set of :func:`gram_sequence`: what containment and resemblance of two texts are counted in."""
    return frozenset(gram_sequence(text, size))


def longest_run(copied: Sequence[bool | None], size: int = 5) -> int:
    """The words of the longest stretch whose runs of ``size`` words are all copied; which are, in their order."""
    longest = max((sum(1 for _ in run) for same, run in groupby(copied) if same), default=0)
    return longest + size - 1 if longest else 0


def stem(word: str) -> str:
    """A rough common form of an English word."""
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word
