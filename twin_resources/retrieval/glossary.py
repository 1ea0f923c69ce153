"""Questions in a language the author does not write in, put word by word into the author's own words.

The packaged embedder reads English, so a German question lands nowhere near the passage that answers it. No translator
is needed to find that passage: its words are enough, in any order and form. They are found as in bilingual lexicon
induction (Conneau et al. 2018, arXiv:1710.04087) among the input embeddings of the base model, restricted to words
that the author used, in a few milliseconds.
"""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from rapidfuzz.distance import JaroWinkler
from rapidfuzz.process import extractOne

from twin_resources.models.token_vectors import TokenVectors
from twin_resources.retrieval import bm25

log = logging.getLogger(__name__)

NEAR = 0.24
"""Cosine similarity from which on two words of two languages are taken for one another."""
_STEM_NEAR = 0.30
"""The same for a word without its ending, and for the halves of a compound."""
_ALIKE = 0.88
_ENDINGS = 3
_SHORTEST = 4
_ASKING = ("why", "how", "when", "where", "who", "which", "not", "without")
"""Small words that change what is asked for; other stop words are dropped."""
_LETTERS = re.compile(r"[^\W\d_]+")
_ELIDED = re.compile(r"(?<=\w)['’](?=\w)")
_SPELT = str.maketrans({"k": "c", "z": "c", "y": "i", "ß": "s"})


@dataclass(frozen=True)
class _Lexicon:
    """What an author's words are found by: those of one token with their vectors, and all by their plain spelling."""

    words: tuple[str, ...]
    vectors: np.ndarray
    spelt: Mapping[str, str]
    tokens: TokenVectors


class Glossary:
    """Puts questions into an author's words.

    Args:
        words: the author's words by author, with how many passages hold each.
        vectors: of the base model; called once, when the first such question comes. Where the model has to be unpacked
            first, that takes a minute.
        patience: seconds that a question waits for them before it is searched for as it is; None waits.
    """

    def __init__(
        self,
        engine: sa.Engine,
        words: Callable[[str], Mapping[str, int]],
        vectors: Callable[[], TokenVectors],
        *,
        patience: float | None = None,
    ) -> None:
        self._engine = engine
        self._words = words
        self._make = vectors
        self._patience = patience
        self._vectors: Future[TokenVectors] | None = None
        self._lexicons: dict[str, tuple[Mapping[str, int], _Lexicon]] = {}
        self._lock = threading.Lock()

    def put(self, author: str, question: str, language: str) -> str:
        """``question`` in the author's words, as far as they are found; names, numbers and unknown words stay.

        Args:
            language: of the question, ISO 639-1.
        """
        lexicon = self._lexicon(author)
        if lexicon is None:
            return question
        question = _ELIDED.sub(" ", question)
        found = [match.group() for match in _LETTERS.finditer(question)]
        with self._engine.connect() as session:
            small = bm25.stop_words(session, [word.casefold() for word in found], language)

        def one(match: re.Match[str]) -> str:
            word = match.group()
            if word[1:] != word[1:].lower():
                return word
            said = self._word(lexicon, word)
            if word.casefold() in small:
                return said if said in _ASKING else ""
            return said or word

        return " ".join(_LETTERS.sub(one, question).split())

    def _lexicon(self, author: str) -> _Lexicon | None:
        words = self._words(author)
        if not words:
            return None
        try:
            vectors = self._loaded().result(self._patience)
        except Exception as error:  # the model is not there, or not there yet
            log.info(
                "a question in another language is searched for as it is: %s", str(error) or "the model is being read"
            )
            return None
        with self._lock:
            kept = self._lexicons.get(author)
            if kept is None or kept[0] is not words:
                kept = self._lexicons[author] = (words, _lexicon(words, vectors))
            return kept[1]

    def _loaded(self) -> Future[TokenVectors]:
        with self._lock:
            if self._vectors is None:
                self._vectors = Future()
                threading.Thread(target=self._load, args=(self._vectors,), name="glossary", daemon=True).start()
            return self._vectors

    def _load(self, vectors: Future[TokenVectors]) -> None:
        try:
            vectors.set_result(self._make())
        except Exception as error:
            log.warning("questions in other languages are searched for as they are: %s", error)
            vectors.set_exception(error)

    def _word(self, lexicon: _Lexicon, word: str) -> str | None:
        """The author's word for ``word``: by its vector, its stem's, its spelling, or the halves of a compound."""
        if found := self._nearest(lexicon, word, NEAR):
            return found
        for ending in range(1, _ENDINGS + 1):
            if len(word) - ending >= _SHORTEST and (found := self._nearest(lexicon, word[:-ending], _STEM_NEAR)):
                return found
        if len(word) > _SHORTEST and lexicon.spelt:
            alike = extractOne(
                _plain(word), lexicon.spelt.keys(), scorer=JaroWinkler.normalized_similarity, score_cutoff=_ALIKE
            )
            if alike:
                return lexicon.spelt[alike[0]]
        for cut in range(len(word) - _SHORTEST, _SHORTEST - 1, -1):
            first = self._nearest(lexicon, word[:cut], _STEM_NEAR)
            last = first and self._nearest(lexicon, word[cut:].capitalize(), _STEM_NEAR)
            if first and last:
                return f"{first} {last}"
        return None

    def _nearest(self, lexicon: _Lexicon, word: str, least: float) -> str | None:
        for form in dict.fromkeys((word, word.lower(), word.capitalize())):
            tokens = lexicon.tokens.tokens(form)
            if len(tokens) == 1 and len(lexicon.words):
                near = lexicon.vectors @ lexicon.tokens.unit(tokens)[0]
                best = int(near.argmax())
                if near[best] >= least:
                    return lexicon.words[best]
        return None


def _lexicon(words: Mapping[str, int], vectors: TokenVectors) -> _Lexicon:
    plain = sorted({bm25.fold(word) for word in (*words, *_ASKING)})
    single = [(word, tokens[0]) for word in plain if len(tokens := vectors.tokens(word)) == 1]
    return _Lexicon(
        tuple(word for word, _ in single),
        vectors.unit([token for _, token in single]),
        {_plain(word): word for word in plain if len(word) > _SHORTEST},
        vectors,
    )


def _plain(word: str) -> str:
    """A word without accents and with the letters alike that languages spell the same sound with."""
    bare = "".join(
        letter for letter in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(letter)
    )
    return bare.replace("ph", "f").translate(_SPELT)
