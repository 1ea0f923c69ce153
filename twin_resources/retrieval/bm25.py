"""Lexical search: BM25 over postings that live in Postgres.

A posting holds, for one lexeme, the passages that have it and its weight in each, as two arrays. Postgres makes them
from its own stemmer; a query reads the few arrays it needs and adds them up with numpy. Postings come in segments:
a refresh writes a small one for what is new, and now and then all of them are written anew as one.

BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), with the idf of Lucene.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, REGCONFIG

from twin_resources.database.schema import chunk, lexical_member, lexical_segment, posting
from twin_resources.retrieval.postings import Postings, Segment

K1 = 1.2
B = 0.75

SEGMENTS = 8
"""More segments than this are joined into one."""

DEAD_SHARE = 0.2
"""When more of a segment than this is not served any more, everything is written anew."""

_BUILD = sa.text((Path(__file__).parent / "sql" / "build_postings.sql").read_text(encoding="utf-8"))
_STEMMERS: Mapping[str, str] = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
"""Postgres' stemmer for a language (ISO 639-1)."""

_SHARES = (0.5, 0.25, 0.1, 0.0)

OWN_LANGUAGE = 0.1
"""A language with a smaller share of an author's passages is stemmed as the most common one: of short texts, the
language is often found wrong, and a word has to have one stem to be found."""


_SEGMENTS = sa.select(
    lexical_segment.c.id, lexical_segment.c.size, lexical_segment.c.languages, lexical_segment.c.created_at
).where(lexical_segment.c.author == sa.bindparam("author"))

_STYLED = re.compile("[\U0001d400-\U0001d7ff\uff01-\uff5e\u2460-\u24ff\ufb00-\ufb06]+")

_SEPARATORS = r"/\_:@=<>&"
_DOT = r"(?<=[[:alpha:]]{2})\.(?=[[:alpha:]]{2})"
"""Both become spaces before Postgres cuts a text into words: it would take a path, a host name or a dotted name
of code for one word, and what stands between angle brackets for none. Abbreviations and numbers keep their dots."""


_POSTINGS = Postings()


@dataclass(frozen=True)
class Matches:
    """How well every passage of an author matches one query.

    ``scores`` has one float32 array a segment, indexed by the ordinal of the member; 0 where nothing matches.
    """

    scores: Mapping[int, np.ndarray]

    def top(self, limit: int, *, skip: int = 0) -> list[tuple[int, int, float]]:
        """(segment, ordinal, score) of the best matches, best first, leaving out the first ``skip``."""
        wanted = limit + skip
        found: list[tuple[int, int, float]] = []
        for segment, scores in self.scores.items():
            ordinals = _above(scores, wanted)
            if len(ordinals) > wanted:
                ordinals = ordinals[np.argpartition(-scores[ordinals], wanted - 1)[:wanted]]
            found.extend((segment, int(ordinal), float(scores[ordinal])) for ordinal in ordinals)
        found.sort(key=lambda match: (-match[2], match[0], match[1]))
        return found[skip:wanted]

    def score(self, segment: int, ordinal: int) -> float:
        """Score of one member; 0 when its segment is not there any more."""
        scores = self.scores.get(segment)
        return float(scores[ordinal]) if scores is not None and ordinal < len(scores) else 0.0


def _above(scores: np.ndarray, wanted: int) -> np.ndarray:
    """Ordinals of scores among which the best ``wanted`` are. Most passages share but a common word with the query and
    lie far below the best, so that comparing with a share of the best score leaves few to be ordered."""
    best = float(scores.max(initial=0.0))
    for share in _SHARES:
        ordinals = np.flatnonzero(scores > share * best)
        if len(ordinals) >= wanted:
            break
    return ordinals


def match(session: sa.Connection, author_id: str, query: str) -> Matches:
    """Score all passages of an author for any text, whose words are stemmed in the languages the author writes in."""
    segments = session.execute(_SEGMENTS, {"author": author_id}).all()
    scores = {row.id: np.zeros(row.size, np.float32) for row in segments}
    languages = sorted({language for row in segments for language in row.languages})
    weights = dict(lexemes(session, query, languages)) if segments else {}
    if not weights:
        return Matches(scores)
    kept = [Segment(row.id, author_id, row.created_at) for row in segments]
    count = sum(row.size for row in segments)
    for lexeme, places in sorted(_POSTINGS.of(session, kept, list(weights)).items()):
        spread = sum(len(found.ordinals) for _, found in places)
        weight = weights[lexeme] * math.log(1 + (count - spread + 0.5) / (spread + 0.5))
        for segment, found in places:
            scores[segment][found.ordinals] += np.float32(weight) * found.impacts
    return Matches(scores)


def lexemes(session: sa.Connection, text: str, languages: Sequence[str] = ()) -> list[tuple[str, float]]:
    """The stems of ``text`` in each of the languages, each with how often it stands there."""
    configs = sorted({_STEMMERS[language] for language in languages} or {_STEMMERS["en"]})
    rows = session.execute(_LEXEMES, {"configs": configs, "text": fold(text)})
    return [(lexeme, float(count)) for lexeme, count in rows]


def known(session: sa.Connection, author_id: str, words: Sequence[str]) -> set[str]:
    """Those of the words that stand, in some form, in a passage that the author's search finds."""
    segments = sa.select(lexical_segment.c.id).where(lexical_segment.c.author == author_id)
    languages = sorted(languages_of(session, author_id))
    stems = {word: [lexeme for lexeme, _ in lexemes(session, word, languages)] for word in words}
    there = (
        sa.select(posting.c.lexeme)
        .distinct()
        .where(
            posting.c.segment.in_(segments),
            posting.c.lexeme.in_([lexeme for found in stems.values() for lexeme in found]),
        )
    )
    found = set(session.scalars(there))
    return {word for word, each in stems.items() if not each or set(each) & found}


def stop_words(session: sa.Connection, words: Sequence[str], language: str) -> set[str]:
    """Those of the words that say nothing on their own in ``language``; of a language without a stemmer, none."""
    if language not in _STEMMERS or not words:
        return set()
    word = sa.func.unnest(sa.cast(list(words), ARRAY(sa.Text))).table_valued("word").render_derived()
    vector = sa.func.to_tsvector(sa.cast(_STEMMERS[language], REGCONFIG), word.c.word)
    return set(session.scalars(sa.select(word.c.word).where(sa.func.length(vector) == 0)))


def languages_of(session: sa.Connection, author_id: str) -> set[str]:
    """The languages that the author's passages are searched in, ISO 639-1."""
    rows = session.scalars(sa.select(lexical_segment.c.languages).where(lexical_segment.c.author == author_id))
    return {language for languages in rows for language in languages}


def _words_of() -> sa.Select[Any, Any]:
    """The stems of a text by each of some stemmers, each with how often it stands there."""
    stemmer = sa.func.unnest(sa.bindparam("configs", type_=ARRAY(sa.Text))).table_valued("config").render_derived()
    separated = sa.func.translate(sa.bindparam("text", type_=sa.Text), _SEPARATORS, " " * len(_SEPARATORS))
    separated = sa.func.regexp_replace(separated, _DOT, " ", "g")
    word = (
        sa.func.unnest(sa.func.to_tsvector(sa.cast(stemmer.c.config, REGCONFIG), separated))
        .table_valued(sa.column("lexeme", sa.Text), sa.column("positions"), sa.column("weights"))
        .render_derived()
        .lateral()
    )
    return (
        sa.select(word.c.lexeme, sa.func.max(sa.func.cardinality(word.c.positions)))
        .select_from(stemmer.join(word, sa.true()))
        .group_by(word.c.lexeme)
    )


_LEXEMES = _words_of()


def fold(text: str) -> str:
    """``text`` as it is searched: letters styled with Unicode (𝗯𝗼𝗹𝗱, 𝘪𝘵𝘢𝘭𝘪𝘤, ｗｉｄｅ, ﬁ) as plain ones."""
    return _STYLED.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text.replace("\x00", ""))


def _languages(session: sa.Connection, author_id: str) -> list[str]:
    """The languages an author's passages are stemmed in, the most common first."""
    count = sa.func.count()
    rows = session.execute(
        sa.select(chunk.c.language, count)
        .where(chunk.c.author == author_id, chunk.c.served, chunk.c.language.in_(list(_STEMMERS)))
        .group_by(chunk.c.language)
        .order_by(count.desc(), chunk.c.language)
    ).all()
    total = sum(number for _, number in rows)
    return [language for language, number in rows if number >= OWN_LANGUAGE * total] or ["en"]


def refresh(session: sa.Connection, author_id: str) -> int:
    """Bring the postings of an author in step with the passages that are served; call it in their transaction.

    Returns:
        The number of passages written.
    """
    mine = sa.select(lexical_segment.c.id).where(lexical_segment.c.author == author_id)
    segments = session.execute(
        sa.select(lexical_segment.c.size, lexical_segment.c.lexemes).where(lexical_segment.c.author == author_id)
    ).all()
    is_member = sa.exists().where(lexical_member.c.chunk_id == chunk.c.id, lexical_member.c.segment.in_(mine))
    served = (chunk.c.author == author_id) & chunk.c.served
    fresh = session.scalar(sa.select(sa.func.count()).select_from(chunk).where(served, ~is_member)) or 0
    living = session.scalar(sa.select(sa.func.count()).select_from(chunk).where(served, is_member)) or 0
    stored = sum(row.size for row in segments)
    anew = stored > 0 and (stored - living > DEAD_SHARE * stored or len(segments) + bool(fresh) > SEGMENTS)
    if not fresh and not anew:
        return 0
    if anew:
        session.execute(sa.delete(lexical_segment).where(lexical_segment.c.author == author_id))
        segments = []
    size = fresh + living if anew else fresh
    if not size:
        return 0
    languages = _languages(session, author_id)
    segment = session.scalar(
        sa.insert(lexical_segment)
        .values(author=author_id, size=size, lexemes=0, languages=languages)
        .returning(lexical_segment.c.id)
    )
    ordinal = sa.func.row_number().over(order_by=(chunk.c.document_id, chunk.c.position, chunk.c.id)) - 1
    members = sa.select(sa.literal(segment), ordinal, chunk.c.id).where(served, sa.true() if anew else ~is_member)
    session.execute(sa.insert(lexical_member).from_select(["segment", "ordinal", "chunk_id"], members))
    session.execute(
        _BUILD,
        {
            "segment": segment,
            "separators": _SEPARATORS,
            "spaces": " " * len(_SEPARATORS),
            "dot": _DOT,
            "languages": languages,
            "configs": [_STEMMERS[language] for language in languages],
            "fallback": _STEMMERS[languages[0]],
            "other_lexemes": sum(row.lexemes for row in segments),
            "other_members": sum(row.size for row in segments),
            "k1": K1,
            "b": B,
        },
    )
    return size
