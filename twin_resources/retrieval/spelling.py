"""Words of a question that the author never used, put right by those that the author did use."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping

import sqlalchemy as sa
from rapidfuzz.distance import DamerauLevenshtein
from rapidfuzz.process import extract

from twin_resources.database.schema import chunk
from twin_resources.retrieval import bm25
from twin_resources.text.words import STOP_WORDS, WORD

MOST_PASSAGES = 20_000
"""Of a larger author nothing is corrected: counting the words would take seconds."""
_SHORTEST = 4
_LONG = 9
_KEPT_SECONDS = 600.0
_PREFIX = re.compile(
    r"^(?:anti|auto|counter|de|dis|inter|mis|multi|non|out|over|post|pre|re|semi|sub|super|un|under)(?=\w{4})"
)
_SUFFIXES = ("ers", "er", "ors", "or", "ing", "ed", "en", "able", "less", "ness", "ly", "es", "s")
_DOUBLED = re.compile(r"[^aeiou][aeiou][^aeiouwxy]$")
_ROOT = 4
"""Letters that a word has at least before an ending."""

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
        correction of spelling errors"), and not in the first, which is hardly ever mistyped (Yannakoudakis and Fawthrop
        1983). Names and words in capitals stay, what the author used in another form, and what is made of a known word
        by a prefix or an ending, as "linter" of "lint".
        """
        known = self.words(author)
        asked = {word for word in WORD.findall(question) if known and self._is_odd(word, known)}
        if asked:
            with self._engine.connect() as session:
                asked -= bm25.known(session, author, sorted(asked))
        right = {word: _nearest(word, known) for word in asked}
        return WORD.sub(lambda match: right.get(match.group(), match.group()), question)

    def _is_odd(self, word: str, known: Mapping[str, int]) -> bool:
        """Whether a word may be a misspelt one: in small letters, and neither known nor made of a known one."""
        if len(word) < _SHORTEST or not word.islower() or not word.isalpha() or word in STOP_WORDS:
            return False
        bare = _PREFIX.sub("", word)
        return not any(self._is_known(each, known) or self._is_derived(each, known) for each in {word, bare})

    def _is_known(self, word: str, known: Mapping[str, int]) -> bool:
        return word in known or self._is_word(word)

    def _is_derived(self, word: str, known: Mapping[str, int]) -> bool:
        """Whether a word is a known one with an ending; one that would have doubled its last letter is not."""
        for suffix in _SUFFIXES:
            root = word.removesuffix(suffix)
            if root == word or len(root) < _ROOT:
                continue
            doubles = suffix[0] in "aeio" and _DOUBLED.search(root)
            if (self._is_known(root, known) and not doubles) or f"{root}e" in known:
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


def _nearest(word: str, known: Mapping[str, int]) -> str:
    """The known word that is nearest to a misspelt one, the most frequent of several; itself where none is near."""
    alike = [each for each in known if each[0] == word[0]]
    most = 2 if len(word) >= _LONG else 1
    near = extract(word, alike, scorer=DamerauLevenshtein.distance, score_cutoff=most, limit=8)
    return min(near, key=lambda found: (found[1], -known[found[0]], found[0]))[0] if near else word
