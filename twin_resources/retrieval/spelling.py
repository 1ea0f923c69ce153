"""Words of a question that the author never used, put right by those that the author did use."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping

import sqlalchemy as sa
from rapidfuzz.distance import DamerauLevenshtein
from rapidfuzz.process import extract

from twin_resources.database.schema import chunk
from twin_resources.text.words import STOP_WORDS, WORD

MOST_PASSAGES = 20_000
"""Of a larger author nothing is corrected: counting the words would take seconds."""
_SHORTEST = 4
_LONG = 9
_KEPT_SECONDS = 600.0
_PREFIX = re.compile(
    r"^(?:anti|auto|counter|de|dis|inter|mis|multi|non|out|over|post|pre|re|semi|sub|super|un|under)(?=\w{4})"
)
_SUFFIXES = ("ers", "er", "ors", "or", "ing", "ed", "able", "less", "ness", "ly", "es", "s")
_DOUBLED = re.compile(r"[^aeiou][aeiou][^aeiouwxy]$")
_ROOT = 4

_COUNTED = sa.text(
    "SELECT word, ndoc FROM ts_stat(format("
    "'SELECT to_tsvector(''simple'', text) FROM chunk WHERE author = %L AND served', cast(:author AS text))) "
    "WHERE word ~ '^[[:alpha:]]+$' AND length(word) >= 4"
)


class Spelling:
    """Corrects questions by the words of an author's passages, which are counted now and then.

    Args:
        is_word: whether a word is a common one of its language, which is no misspelling although the author never
            used it.
    """

    def __init__(self, engine: sa.Engine, is_word: Callable[[str], bool]) -> None:
        self._engine = engine
        self._is_word = is_word
        self._kept: dict[str, tuple[float, Mapping[str, int]]] = {}

    def corrected(self, author: str, question: str) -> str:
        """``question`` with each word that nobody would find replaced by the nearest that the author used.

        A word differs in one letter, or in two where it is long (Damerau 1964, "A technique for computer detection and
        correction of spelling errors"); names and words in capitals stay, and so does what is made of a known word by a
        prefix or an ending, as "linter" of "lint".
        """
        known = self.words(author)
        if not known:
            return question

        def right(word: str) -> str:
            low = word.casefold()
            if len(word) < _SHORTEST or not word.islower() or not word.isalpha() or low in known or low in STOP_WORDS:
                return word
            if self._is_word(low) or _PREFIX.sub("", low) in known or self._is_derived(low, known):
                return word
            most = 2 if len(word) >= _LONG else 1
            near = extract(low, known.keys(), scorer=DamerauLevenshtein.distance, score_cutoff=most, limit=8)
            return min(near, key=lambda found: (found[1], -known[found[0]], found[0]))[0] if near else word

        return WORD.sub(lambda match: right(match.group()), question)

    def _is_derived(self, word: str, known: Mapping[str, int]) -> bool:
        """Whether a word is a known one with an ending; one that would have doubled its last letter is not."""
        for suffix in _SUFFIXES:
            root = word.removesuffix(suffix)
            if root == word or len(root) < _ROOT:
                continue
            whole = root in known or self._is_word(root)
            if (whole and not (suffix[0] in "aeio" and _DOUBLED.search(root))) or f"{root}e" in known:
                return True
        return False

    def words(self, author: str) -> Mapping[str, int]:
        """Words of the passages that search finds, with the number of passages that hold each."""
        now = time.monotonic()
        kept = self._kept.get(author)
        if kept is None or now - kept[0] > _KEPT_SECONDS:
            served = sa.select(sa.func.count()).where(chunk.c.author == author, chunk.c.served)
            with self._engine.connect() as session:
                count = session.scalar(served) or 0
                if not count:
                    return {}  # not kept: the first passages come while the twin is asked already
                rows = session.execute(_COUNTED, {"author": author}) if count <= MOST_PASSAGES else ()
                kept = self._kept[author] = (now, {row.word: row.ndoc for row in rows})
        return kept[1]
