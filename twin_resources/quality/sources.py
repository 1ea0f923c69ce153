"""The texts that a dataset claims to be made of, so that what an answer says can be found in them.

Of every text its words are kept by the hashes of their 3-grams with their places, in sorted arrays: 16 bytes a word. An
answer is laid over the place that holds most of its 3-grams.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from twin_resources.rag.support import plain
from twin_resources.text.sentences import MARKER
from twin_resources.text.words import PLAIN_WORD, content_words, gram_sequence, plain_words

SIZE = 3
_MOST_PLACES = 64
"""Places of one 3-gram that are looked at; what stands in more of them tells nothing of where a sentence is from."""
_AROUND = 600
"""Characters on either side within which the sentences around a place end."""
_END = re.compile(r"[.!?…][\"'”’)\]*_]*\s|\n")
INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
"""Characters that nobody sees: soft hyphens, zero widths, directions, tags."""
_LINK = re.compile(r"\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+[\"'][^\"'\n]*[\"'])?(?:\)|$)|!?\[(?!\d)|\]")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!|<>~-])")
_KEY = re.compile(r"[-_/.]([0-9a-f]{8,})(?=[./?#]|$)")
"""The id at the end of an address or a file's name, under which platforms know a text."""
_DATA_URL = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+")


@dataclass(frozen=True)
class Source:
    """One text; ``names`` are what a sample may call it by: its URL, its id, its title."""

    title: str
    text: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a sentence stands: the document's number, the words from the first one on, and the share of its 3-grams
    found there."""

    document: int
    word: int
    words: int
    share: float


class Sources:
    """Texts to look sentences up in.

    Args:
        documents: read once; their plain text is kept.
    """

    def __init__(self, documents: Iterable[Source]) -> None:
        self.titles: list[str] = []
        self.languages: Counter[str] = Counter()
        self._texts: list[str] = []
        self._begins: list[np.ndarray] = []
        self._named: dict[str, list[int]] = {}
        self._titled: dict[str, list[int]] = {}
        hashes: list[np.ndarray] = []
        starts = [0]
        for number, document in enumerate(documents):
            text = normal(document.text)
            self.titles.append(document.title)
            self._texts.append(text)
            if document.title.strip():
                self._titled.setdefault(_name(normal(document.title)), []).append(number)
            names = {_name(name) for name in (*document.names, document.title) if name.strip()}
            keys = {key for each in names for key in _KEY.findall(each)}
            for name in names | keys:
                self._named.setdefault(name, []).append(number)
            found = np.fromiter(gram_sequence(text, SIZE), np.int64)
            hashes.append(found)
            self._begins.append(np.fromiter((match.start() for match in PLAIN_WORD.finditer(text)), np.int32))
            starts.append(starts[-1] + len(found) + SIZE)
        self._starts = np.asarray(starts, np.int64)
        every = np.concatenate(hashes) if hashes else np.empty(0, np.int64)
        places = np.concatenate(
            [np.arange(len(each), dtype=np.int32) + start for each, start in zip(hashes, starts, strict=False)]
            or [np.empty(0, np.int32)]
        )
        order = np.argsort(every, kind="stable")
        self._hashes, self._places = every[order], places[order].astype(np.int32)
        self._words = functools.lru_cache(maxsize=32)(lambda number: frozenset(plain_words(self._texts[number])))

    def __len__(self) -> int:
        return len(self._texts)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def text(self, document: int) -> str:
        """The plain text of a document."""
        return self._texts[document]

    def called(self, name: str) -> list[int]:
        """The numbers of the documents that a sample means by a URL, an id or a title; none where it is unknown."""
        found = self._named.get(_name(name))
        return found if found else next((self._named[key] for key in _KEY.findall(name) if key in self._named), [])

    def titled(self, title: str) -> list[int]:
        """The numbers of the documents of a title."""
        return self._titled.get(_name(title), [])

    def words(self, document: int) -> frozenset[str]:
        """Every word of one document in lower case."""
        return self._words(document)

    @functools.cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word of the sources in lower case, those of titles as well."""
        found: set[str] = set()
        for text in (*self._texts, *self.titles):
            found.update(plain_words(text))
        return frozenset(found)

    @functools.cached_property
    def stems(self) -> list[frozenset[str]]:
        """The content words of each document."""
        return [
            frozenset(content_words(f"{title}\n{text}")) for title, text in zip(self.titles, self._texts, strict=True)
        ]

    def find(self, sentence: str, within: Sequence[int] | None = None) -> Place | None:
        """Where most of a plain ``sentence`` stands; None where no 3-gram of it is in the sources.

        Args:
            within: only these documents.
        """
        wanted = np.fromiter(gram_sequence(sentence, SIZE), np.int64)
        low = np.searchsorted(self._hashes, wanted, side="left")
        counts = np.minimum(np.searchsorted(self._hashes, wanted, side="right") - low, _MOST_PLACES)
        total = int(counts.sum())
        if not total:
            return None
        offset = np.repeat(np.arange(len(wanted)), counts)
        inner = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        places = self._places[np.repeat(low, counts) + inner].astype(np.int64)
        if within is not None:
            keep = np.isin(np.searchsorted(self._starts, places, side="right") - 1, list(within))
            offset, places = offset[keep], places[keep]
            if not len(places):
                return None
        start, share = _densest(offset, places, len(wanted))
        document = int(np.searchsorted(self._starts, start, side="right")) - 1
        return Place(document, int(start - self._starts[document]), len(wanted) + SIZE - 1, share)

    def span(self, document: int, first: int, last: int) -> list[str]:
        """The plain words of a document from one number to another, as far as there are."""
        begins, text = self._begins[document], self._texts[document]
        first = max(0, first)
        if first >= min(last, len(begins)):
            return []
        return plain_words(text[begins[first] : begins[last] if last < len(begins) else len(text)])

    def around(self, place: Place) -> str:
        """The sentences that hold the words of a place."""
        begins, text = self._begins[place.document], self._texts[place.document]
        if not len(begins):
            return text
        first = int(begins[max(0, min(place.word, len(begins) - 1))])
        behind = place.word + place.words + 1
        last = int(begins[behind]) if behind < len(begins) else len(text)
        before = [match.end() for match in _END.finditer(text, max(0, first - _AROUND), first)]
        behind = _END.search(text, max(0, last - 1), last + _AROUND)
        start = before[-1] if before else max(0, first - _AROUND)
        return text[start : behind.end() if behind else last + _AROUND].strip()


def _densest(offsets: np.ndarray, places: np.ndarray, size: int) -> tuple[int, float]:
    """Where the run of ``size`` words and some more begins that holds most of the 3-grams, and the share of them; 1
    only where they follow each other as they do in the sentence."""
    exact, hits = np.unique(places - offsets, return_counts=True)
    best = int(hits.argmax())
    if hits[best] == size:
        return int(exact[best]), 1.0
    order = np.argsort(places, kind="stable")
    places, offsets = places[order], offsets[order]
    ends = np.searchsorted(places, places + size + 6, side="right")
    counts = ends - np.arange(len(places))
    found = (0, -1)
    for row in np.argsort(-counts, kind="stable")[:8]:
        here = len(np.unique(offsets[row : ends[row]]))
        if here > found[1]:
            found = (int(places[row]), here)
    return found[0], min(found[1], size - 0.5) / size


def normal(text: str) -> str:
    """Plain text as it is compared: no Markdown, no addresses, letters in their common form, nothing invisible."""
    text = unicodedata.normalize("NFKC", _DATA_URL.sub("", text))
    text = INVISIBLE.sub("", MARKER.sub("", text))
    # a passage may be cut inside a link, so its signs go one by one and not as a pair
    return plain(_ESCAPED.sub(r"\1", _LINK.sub(" ", text)))


def _name(name: str) -> str:
    return " ".join(re.sub(r"^https?://(?:www\.)?", "", name.strip().casefold()).rstrip("/").split())
