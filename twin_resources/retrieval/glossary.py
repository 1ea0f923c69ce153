"""Questions in a language the author does not write in, put word by word into the author's own words.

The packaged embedder reads English, so a German question lands nowhere near the passage that answers it. No translator
is needed to find that passage: its words are enough, in any order and form. They are found as in bilingual lexicon
induction (Conneau et al. 2018, arXiv:1710.04087), among the words that the author used, in a few milliseconds.
"""

from __future__ import annotations

import functools
import heapq
import logging
import re
import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from rapidfuzz.distance import JaroWinkler
from rapidfuzz.process import extractOne

from twin_resources.models.word_vectors import LANGUAGES, WordVectors
from twin_resources.retrieval import bm25

log = logging.getLogger(__name__)

NEAR = 0.6
"""Cosine similarity from which on two words of two languages are taken for one another."""
_SURE = 0.75
"""The same for a word of a language that the vectors were not made for, and for a noun that may be a name: names that
an author never used lie at 0.74 and below, as "Mongolei" at 0.57."""
_MOST = 8_000
"""Of an author's words, the most frequent have vectors: some 5 s of one core, 16 MB."""
_ALIKE = 0.9
_UNSPACED = ("ja", "zh", "th")
"""Languages that put no spaces between words."""
_LATIN = re.compile(r"[A-Za-z][\w.+-]*", re.ASCII)
_GIST, _GIST_OF_BEST, _MOST_GIST, _LOOKED_AT = 0.2, 0.5, 5, 30
"""A word belongs to what such a question is about from this cosine similarity on, and this share of the best one's."""
_SHORTEST = 4
_ASKING = ("why", "how", "when", "where", "who", "not", "without")
"""Small words that change what is asked for; other stop words are dropped."""
_LETTERS = re.compile(r"(?<![\w.])[^\W\d_]++(?![\d_]|\.\w)")
"""Words; what is part of a name such as `llama.cpp` or `GPT4` is none."""
_ELIDED = re.compile(r"(?<=\w)['’](?=\w)")
_SPELT = str.maketrans({"k": "c", "z": "c", "y": "i", "ß": "s"})


@dataclass(frozen=True)
class _Lexicon:
    """What an author's words are found by: their vectors, shape ``(words, dimensions)``, and their plain spelling."""

    words: tuple[str, ...]
    vectors: np.ndarray
    spelt: Mapping[str, str]
    encoder: WordVectors


class Glossary:
    """Puts questions into an author's words.

    Args:
        words: the author's words by author, with how many passages hold each.
        vectors: makes the encoder; called once, when the first such question comes.
        patience: seconds that a question waits for the vectors of the author's words before it is searched for as it
            is; None waits.
    """

    def __init__(
        self,
        engine: sa.Engine,
        words: Callable[[str], Mapping[str, int]],
        vectors: Callable[[], WordVectors],
        *,
        patience: float | None = None,
    ) -> None:
        self._engine = engine
        self._words = words
        self._encoder = functools.cache(vectors)
        self._patience = patience
        self._lexicons: dict[str, tuple[Mapping[str, int], Future[_Lexicon]]] = {}
        self._made: dict[str, _Lexicon] = {}
        self._maker = ThreadPoolExecutor(1, "glossary")
        self._lock = threading.Lock()

    def put(self, author: str, question: str, language: str) -> str:
        """``question`` in the author's words, as far as they are found; names, numbers and unknown words stay.

        Args:
            language: of the question, ISO 639-1.
        """
        lexicon = self._lexicon(author)
        if lexicon is None:
            return question
        if language in _UNSPACED:
            return " ".join((*_LATIN.findall(question), *_gist(lexicon, question)))
        question = _ELIDED.sub(" ", question)
        found = [match.group() for match in _LETTERS.finditer(question)]
        start = question.find(found[0]) if found else 0
        with self._engine.connect() as session:
            small = bm25.stop_words(session, [word.casefold() for word in found], language)

        near = NEAR if language in LANGUAGES else _SURE

        def one(match: re.Match[str]) -> str:
            word = match.group()
            named = language != "de" and match.start() > start and word[0].isupper()
            if named or word[1:] != word[1:].lower():
                return word
            said = _said(lexicon, word, near)
            if word.casefold() in small:
                return said if said in _ASKING else ""
            return said or word

        return " ".join(_LETTERS.sub(one, question).split())

    def unsaid(self, author: str, words: Sequence[str]) -> list[str]:
        """Those of ``words``, in another language, that no word of the author's surely stands for."""
        lexicon = self._lexicon(author)
        if lexicon is None:
            return list(words)
        whole = zip(words, _nearest(lexicon, words, _SURE), strict=True)
        return [word for word, found in whole if not (found or _halves(lexicon, word, _SURE))]

    def _lexicon(self, author: str) -> _Lexicon | None:
        """The author's words as they are now, or as they were lately where their vectors are still being made."""
        words = self._words(author)
        if not words:
            return None
        with self._lock:
            kept = self._lexicons.get(author)
            if kept is None or (kept[1].done() and kept[0].keys() != words.keys()):
                kept = self._lexicons[author] = (words, self._maker.submit(self._make, author, words))
        try:
            return kept[1].result(self._patience)
        except TimeoutError:
            log.info("a question in another language came while the vectors of the words of %s were made", author)
        except Exception as error:
            log.warning("questions in other languages are searched for as they are: %s", error)
        return self._made.get(author)

    def _make(self, author: str, words: Mapping[str, int]) -> _Lexicon:
        often = heapq.nlargest(_MOST, words, key=words.__getitem__)
        plain = sorted({bm25.fold(word) for word in (*often, *_ASKING)})
        before = self._made.get(author)
        known = {word: row for row, word in enumerate(before.words)} if before else {}
        fresh = [word for word in plain if word not in known]
        encoder = self._encoder()
        vectors = encoder.unit(fresh)
        if before:
            vectors = np.concatenate([before.vectors[[known[word] for word in plain if word in known]], vectors])
        order = {word: row for row, word in enumerate([*(word for word in plain if word in known), *fresh])}
        made = self._made[author] = _Lexicon(
            tuple(plain),
            vectors[[order[word] for word in plain]],
            {_plain(word): word for word in map(bm25.fold, words) if len(word) > _SHORTEST},
            encoder,
        )
        return made


def _said(lexicon: _Lexicon, word: str, least: float) -> str | None:
    """The author's word for ``word``: by its vector, its spelling, or the halves of a compound."""
    if found := _nearest(lexicon, [word], least)[0]:
        return found
    if len(word) > _SHORTEST and lexicon.spelt:
        alike = extractOne(
            _plain(word), lexicon.spelt.keys(), scorer=JaroWinkler.normalized_similarity, score_cutoff=_ALIKE
        )
        if alike:
            return lexicon.spelt[alike[0]]
    return _halves(lexicon, word, least)


def _halves(lexicon: _Lexicon, word: str, least: float) -> str | None:
    """The author's two words for a compound ("Datenbank"); None where it has no halves that they use."""
    cuts = range(len(word) - _SHORTEST, _SHORTEST - 1, -1)
    halves = _nearest(lexicon, [half for cut in cuts for half in (word[:cut], word[cut:])], least)
    pairs = zip(halves[::2], halves[1::2], strict=True)
    return next((f"{first} {last}" for first, last in pairs if first and last), None)


def _gist(lexicon: _Lexicon, question: str) -> list[str]:
    """The author's words that lie nearest to a question as a whole, where it has no spaces to cut it at; of words
    that begin alike, one."""
    near = lexicon.vectors @ lexicon.encoder.unit([question])[0]
    found: dict[str, str] = {}
    for place in np.argsort(-near)[:_LOOKED_AT]:
        if near[place] < max(_GIST, _GIST_OF_BEST * float(near.max())) or len(found) == _MOST_GIST:
            break
        found.setdefault(lexicon.words[place][:_SHORTEST], lexicon.words[place])
    return list(found.values())


def _nearest(lexicon: _Lexicon, words: Sequence[str], least: float) -> list[str | None]:
    """For each word the nearest one of the author's, with its capital or without; None where none is near."""
    both = lexicon.encoder.unit([*words, *map(str.lower, words)]) @ lexicon.vectors.T
    near = np.maximum(*np.split(both, 2))
    return [lexicon.words[row.argmax()] if row.max() >= least else None for row in near]


def _plain(word: str) -> str:
    """A word without accents and with the letters alike that languages spell the same sound with."""
    bare = "".join(
        letter for letter in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(letter)
    )
    return bare.replace("ph", "f").translate(_SPELT)
