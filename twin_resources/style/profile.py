"""Everything of one author that scoring needs: figures of the author's texts, and what they are worth as evidence.

A profile is kept in a file under the content hash of what it was made of, so that another document makes another one.
It holds counts and scores, never texts; forgetting a document removes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from twin_resources.errors import TwinError
from twin_resources.retrieval.embedder import Encode
from twin_resources.storage.clean_store import CleanDocument, CleanStore
from twin_resources.style.calibration import FOLDS, Calibration, Scored, calibrate, cross_score
from twin_resources.style.prose import Chunk, chunks, disordered, sentences_of, word_count
from twin_resources.style.reference import PACKAGED, Group, Reference, Texts
from twin_resources.style.texture import habits_of
from twin_resources.style.traits import Counting, Traits
from twin_resources.style.verifiers import FLUENCY, VOICES, Verifier, Voice
from twin_resources.text.identity import content_id, content_id_of
from twin_resources.text.languages import language_of

CODE_VERSION = "1"
LEAST_WORDS, LEAST_DOCUMENTS = 2_000, 5
_MOST_CHUNKS = 100
_LEAST_CHUNKS = 2 * FOLDS
_CATEGORIES = ("articles", "posts")
_ENGLISH = 0.5


class StyleError(TwinError):
    """An author's style cannot be known: too little text, or none that the reference can be compared with."""


class DraftError(StyleError):
    """A draft cannot be judged."""


@dataclass(frozen=True)
class Profile:
    """An author's texts as figures.

    ``own`` are texts with the row of their document as ``authors``, which each of them leaves at row ``last``;
    ``documents`` are document ids by row; ``habits`` the texture of documents, shape ``(documents, habits)``;
    ``scored`` what the verifiers said of texts they never saw.
    """

    author: str
    key: str
    documents: tuple[str, ...]
    words: int
    own: Group
    last: np.ndarray
    habits: np.ndarray
    scored: tuple[Scored, Scored]

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The kinds of verifiers that can be made of it."""
        return voices_for(self.own)

    def calibration(self) -> Calibration:
        """What the verifiers are worth, and what their scores mean."""
        return calibrate(self.scored, self.own.authors, self.voices)

    def verifiers(self, reference: Reference, without: Sequence[str] = ()) -> list[Verifier]:
        """Verifiers made of all texts but those of some documents, and last the guard of fluency.

        Raises:
            StyleError: too little is left.
        """
        rows = {row for row, document in enumerate(self.documents) if document in without}
        left = [
            place
            for place, (first, last) in enumerate(zip(self.own.authors, self.last, strict=True))
            if not any(first <= row <= last for row in rows)
        ]
        if len(left) < FOLDS:
            raise DraftError("this text makes up nearly all that its author wrote, so there is nothing to judge it by")
        own = self.own.long.take(np.array(left))
        return [voice.make(own, reference.population) for voice in (*self.voices, FLUENCY)]


def documents_of(clean: CleanStore, author: str) -> Iterator[CleanDocument]:
    """Stream the documents that an author's style shows in: what was written in prose."""
    for category in _CATEGORIES:
        yield from clean.documents(author, category)


def voices_for(own: Group) -> tuple[Voice, ...]:
    """The kinds of verifiers for texts with vectors or without."""
    return tuple(voice for voice in VOICES if own.long.vectors is not None or not voice.needs_vectors)


def build(
    author: str, key: str, documents: Sequence[CleanDocument], reference: Reference, encode: Encode | None = None
) -> Profile:
    """The profile of an author.

    Args:
        encode: the model whose vectors the reference has, or None.

    Raises:
        StyleError: there is too little text, or most of it is not English.
    """
    texts = [document.text for document in documents]
    words = sum(word_count(sentence) for text in texts for sentence in sentences_of(text))
    if words < LEAST_WORDS or len(texts) < LEAST_DOCUMENTS:
        raise StyleError(
            f"author {author!r} has {words:,} words of prose in {len(texts)} documents, which is too little to know a "
            f"style by; {LEAST_WORDS:,} words in {LEAST_DOCUMENTS} documents are needed",
            "add sources or `twin import` more documents, then `twin run`",
        )
    _check_language(author, texts)
    own, shuffled, last = groups(documents, reference, encode)
    if len(last) < _LEAST_CHUNKS or len(np.unique(own.authors)) < FOLDS:
        raise StyleError(
            f"the texts of author {author!r} make {len(last)} pieces of 250 words, too few to know a style by",
            "add sources or `twin import` more documents, then `twin run`",
        )
    with threadpool_limits(1, user_api="blas"):  # small matrices: a second thread would only wait for a core
        scored = cross_score(own, shuffled, reference, voices_for(own))
    found = [habits for text in texts if (habits := habits_of(text)) is not None]
    return Profile(
        author=author,
        key=key,
        documents=tuple(document.document_id for document in documents),
        words=words,
        own=own,
        last=last,
        habits=np.array(found),
        scored=scored,
    )


def groups(
    documents: Sequence[CleanDocument], reference: Reference, encode: Encode | None = None
) -> tuple[Group, Group, np.ndarray]:
    """The texts of documents in pieces, with the row of the document that each begins in; the same pieces with their
    words in disorder; and the row of the document that each ends in."""
    taken = chunks((document.text for document in documents), most=_MOST_CHUNKS)
    mixed = [
        Chunk(disordered(chunk.short, row), disordered(chunk.rest, row), chunk.first, chunk.last)
        for row, chunk in enumerate(taken)
    ]
    count = Counting(reference.vocabulary)
    last = np.array([chunk.last for chunk in taken], np.int64)
    return _group(taken, count, encode), _group(mixed, count, encode), last


def _check_language(author: str, texts: Sequence[str]) -> None:
    found = [(len(text), language_of(text)) for text in texts[:: max(1, len(texts) // 30)]]
    known = sum(size for size, language in found if language)
    english = sum(size for size, language in found if language == "en")
    if known and english < _ENGLISH * known:
        raise StyleError(
            f"author {author!r} writes mostly in another language than English, and the texts of others that a "
            "style is told from are English",
            "score English texts only, or make a reference with benchmarks/impostors.py",
        )


def _group(taken: Sequence[Chunk], count: Counting, encode: Encode | None) -> Group:
    short = [chunk.short for chunk in taken]
    traits = count(short)
    long = traits.joined(count([chunk.rest for chunk in taken]))
    vectors = (encode(short), encode([chunk.text for chunk in taken])) if encode else (None, None)
    rows = np.array([chunk.first for chunk in taken])
    return Group(Texts(traits, vectors[0]), Texts(long, vectors[1]), rows)


class Profiles:
    """Profiles of authors, kept in a folder and made anew when an author's documents changed.

    Args:
        folder: where profiles lie.
        model: the name of the embedding model, and ``encode`` what it does; its voice is left out where the reference
            has vectors of another, or ``encode`` is None.
    """

    def __init__(
        self, folder: Path, clean: CleanStore, reference: Reference, *, model: str = "", encode: Encode | None = None
    ) -> None:
        self._folder = folder
        self._clean = clean
        self._reference = reference
        self._encode = encode if model and model == reference.model else None
        made_by = PACKAGED.read_bytes() if PACKAGED.exists() else b""
        self._basis = content_id(CODE_VERSION, content_id(made_by.hex()), str(self._encode is not None))

    def key(self, author: str) -> str:
        """The hash of everything that an author's profile depends on."""
        return content_id_of((self._basis, *(self._clean.hash(author, category) for category in _CATEGORIES)))

    def of(self, author: str) -> Profile:
        """The profile of an author as the documents are now.

        Raises:
            StyleError: there is too little text, or most of it is not English.
        """
        key = self.key(author)
        path = place(self._folder, author) / f"{key}.npz"
        if path.exists():
            return load(path, author)
        made = build(author, key, list(documents_of(self._clean, author)), self._reference, self._encode)
        forget(self._folder, author)
        save(path, made)
        return made


def folder_of(home: Path) -> Path:
    """Where profiles lie in a state folder."""
    return home / "cache" / "style"


def place(folder: Path, author: str) -> Path:
    """Where the profiles of an author lie."""
    return folder / author


def forget(folder: Path, author: str) -> None:
    """Remove the profiles of an author."""
    shutil.rmtree(place(folder, author), ignore_errors=True)


def save(path: Path, profile: Profile) -> None:
    """Write a profile; a reader finds all of it or none."""
    held: dict[str, np.ndarray] = {
        "documents": np.array(profile.documents),
        "words": np.array(profile.words),
        "authors": profile.own.authors,
        "last": profile.last,
        "habits": profile.habits,
    }
    for name, texts in (("short", profile.own.short), ("long", profile.own.long)):
        held |= {f"{name}_{each.name}": getattr(texts.traits, each.name) for each in fields(Traits)}
        if texts.vectors is not None:
            held[f"{name}_vectors"] = texts.vectors.astype(np.float32)
    for name, scored in zip(("short", "long"), profile.scored, strict=True):
        held |= {f"{name}_scored_{each.name}": getattr(scored, each.name) for each in fields(Scored)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".writing", delete=False) as file:
        np.savez_compressed(file, **held)  # pyright: ignore[reportArgumentType]
    os.replace(file.name, path)


def load(path: Path, author: str) -> Profile:
    """A profile from its file."""
    with np.load(path, allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    short, long = (
        Texts(
            Traits(**{each.name: held[f"{name}_{each.name}"] for each in fields(Traits)}), held.get(f"{name}_vectors")
        )
        for name in ("short", "long")
    )
    first, second = (
        Scored(**{each.name: held[f"{name}_scored_{each.name}"] for each in fields(Scored)})
        for name in ("short", "long")
    )
    return Profile(
        author=author,
        key=path.stem,
        documents=tuple(held["documents"].tolist()),
        words=int(held["words"]),
        own=Group(short, long, held["authors"]),
        last=held["last"],
        habits=held["habits"],
        scored=(first, second),
    )
