"""How much a draft sounds like its author, as a whole and sentence by sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from twin_resources.retrieval.embedder import Encode
from twin_resources.storage.clean_store import CleanDocument
from twin_resources.style.calibration import COMBINED, Calibration, Measure, score_all, together
from twin_resources.style.profile import DraftError, Profile
from twin_resources.style.prose import LONG, SHORT, located, parts, word_count
from twin_resources.style.reference import Reference, Texts
from twin_resources.style.texture import Remark, remarks
from twin_resources.style.traits import Counting
from twin_resources.style.verifiers import Verifier
from twin_resources.text.words import grams

LEAST_WORDS = 50
MOST_SENTENCES = 400
MOST_NEAREST = 60
"""Sentences of a draft, from its beginning, that the nearest passage is looked up for."""
_BETWEEN = (SHORT + LONG) // 2
"""From so many words on a text is judged as one of :data:`LONG`."""
_COPIED = 0.5
"""Share of a draft's runs of five words that stand in a document, from which on it is that document."""


@dataclass(frozen=True)
class Near:
    """A passage of the author's that is near a sentence in meaning."""

    title: str
    url: str
    text: str
    score: float


@dataclass(frozen=True)
class Sentence:
    """A sentence of a draft at ``draft[start:end]``. ``score`` is that of the ``words`` words around it: one sentence
    alone tells no author."""

    text: str
    start: int
    end: int
    words: int
    score: float
    nearest: Near | None


@dataclass(frozen=True)
class VoiceScore:
    """What one verifier says of a draft, and what it is worth for this author."""

    measure: Measure
    score: float


@dataclass(frozen=True)
class Source:
    """A document of the author's that the draft stands in."""

    document_id: str
    title: str
    url: str


@dataclass(frozen=True)
class Verdict:
    """How much a draft of ``words`` words sounds like its author.

    ``score`` is the probability that the author wrote it and not somebody else, both taken for equally likely before;
    ``percentile`` the share of the author's own held-out texts of ``length`` words that score no higher. ``sources``
    are documents that the draft stands in; they were held out when it was judged.
    """

    score: float
    percentile: float
    words: int
    length: int
    measure: Measure
    voices: tuple[VoiceScore, ...]
    sentences: tuple[Sentence, ...]
    remarks: tuple[Remark, ...]
    sources: tuple[Source, ...]


class Scorer:
    """Judges drafts of one author.

    Args:
        encode: as the profile was made with; None where it has no vectors.
    """

    def __init__(
        self,
        profile: Profile,
        reference: Reference,
        *,
        encode: Encode | None = None,
    ) -> None:
        self._profile = profile
        self._reference = reference
        self._calibration: Calibration = profile.calibration()
        self._verifiers = profile.verifiers(reference)
        self._count = Counting(reference.vocabulary)
        self._encode = encode if profile.own.long.vectors is not None else None

    def score(
        self,
        draft: str,
        documents: Iterable[CleanDocument] = (),
        nearest: Callable[[str], Near | None] | None = None,
    ) -> Verdict:
        """Judge a draft in Markdown or plain text.

        Args:
            documents: the author's own, in which the draft is looked for; what it stands in is held out.
            nearest: finds the author's passage nearest to a sentence; None leaves it out.

        Raises:
            DraftError: it has fewer than :data:`LEAST_WORDS` words of prose, or its author wrote nearly nothing else.
        """
        sentences = located(draft)
        pieces = [text for text, _, _ in sentences]
        words = sum(map(word_count, pieces))
        if words < LEAST_WORDS:
            raise DraftError(
                f"the draft has {words} words of prose; {LEAST_WORDS} are needed to hear a style, and code, tables and "
                "quotations do not count",
                "score a longer text",
            )
        sources = found_in(draft, documents)
        held = [source.document_id for source in sources]
        verifiers = self._profile.verifiers(self._reference, held) if held else self._verifiers
        long = words >= _BETWEEN
        texts = [" ".join(pieces[place] for place in part) for part in parts(pieces, LONG if long else words)]
        probability, voices = self._judge(texts, verifiers, int(long))
        scale = self._calibration.scales[int(long)]
        length = LONG if long else SHORT
        return Verdict(
            score=probability,
            percentile=float(np.mean(scale.held_out <= probability)),
            words=words,
            length=length,
            measure=self._calibration.measure(COMBINED, length),
            voices=voices,
            sentences=self._sentences(sentences, verifiers, nearest),
            remarks=tuple(remarks(draft, self._profile.habits)),
            sources=sources,
        )

    def strangers(self, words: int) -> np.ndarray:
        """The scores of texts of other people, of whom nothing was learned, of ``words`` words (:data:`SHORT` or
        :data:`LONG`)."""
        side = int(words == LONG)
        group = self._reference.measuring
        texts = group.long if side else group.short
        if self._encode is None:
            texts = Texts(texts.traits)
        raw, fluency = score_all(self._verifiers[:-1], texts), self._verifiers[-1].score(texts)
        return self._calibration.scales[side].score(raw, fluency, together(self._profile.voices))

    def worth(self, words: int) -> Measure:
        """How well the score tells the author from others at ``words`` words (:data:`SHORT` or :data:`LONG`)."""
        return self._calibration.measure(COMBINED, words)

    def _texts(self, texts: Sequence[str]) -> Texts:
        return Texts(self._count(texts), self._encode(texts) if self._encode else None)

    def _judge(
        self, texts: Sequence[str], verifiers: Sequence[Verifier], side: int
    ) -> tuple[float, tuple[VoiceScore, ...]]:
        """The score of several stretches of one text, the mean of their log odds, and each voice's."""
        scale = self._calibration.scales[side]
        counted = self._texts(texts)
        raw = score_all(verifiers[:-1], counted)
        every = scale.score(raw, verifiers[-1].score(counted), together(self._profile.voices))
        length = (SHORT, LONG)[side]
        found = []
        for place, (voice, single) in enumerate(zip(self._profile.voices, scale.voices, strict=True)):
            score = float(_mean(single.probabilities(raw[:, [place]])))
            found.append(VoiceScore(self._calibration.measure(voice.name, length), score))
        return _mean(every), tuple(found)

    def _sentences(
        self,
        sentences: Sequence[tuple[str, int, int]],
        verifiers: Sequence[Verifier],
        nearest: Callable[[str], Near | None] | None,
    ) -> tuple[Sentence, ...]:
        sentences = sentences[:MOST_SENTENCES]
        sizes = [word_count(text) for text, _, _ in sentences]
        spans = [_around(place, sizes) for place in range(len(sizes))]
        counted = self._texts([" ".join(text for text, _, _ in sentences[first:last]) for first, last in spans])
        raw = score_all(verifiers[:-1], counted)
        scale = self._calibration.scales[0]
        scores = scale.score(raw, verifiers[-1].score(counted), together(self._profile.voices))
        near = [nearest(text) for text, _, _ in sentences[:MOST_NEAREST]] if nearest else []
        near += [None] * (len(sentences) - len(near))
        return tuple(
            Sentence(text, start, end, sum(sizes[first:last]), float(score), passage)
            for (text, start, end), (first, last), score, passage in zip(sentences, spans, scores, near, strict=True)
        )


def found_in(draft: str, documents: Iterable[CleanDocument]) -> tuple[Source, ...]:
    """The documents that hold the draft or most of it, by runs of five words."""
    mine = grams(draft)
    return tuple(
        Source(document.document_id, document.title, document.url)
        for document in documents
        if mine and len(mine & grams(document.text)) >= _COPIED * len(mine)
    )


def _around(place: int, sizes: Sequence[int]) -> tuple[int, int]:
    """The span of sentences around one that has :data:`SHORT` words, or all there are."""
    first, last = place, place + 1
    words = sizes[place]
    while words < SHORT and (first > 0 or last < len(sizes)):
        if first > 0:
            first -= 1
            words += sizes[first]
        if words < SHORT and last < len(sizes):
            words += sizes[last]
            last += 1
    return first, last


def _mean(probabilities: np.ndarray) -> float:
    """The probability whose log odds are the mean of those of ``probabilities``."""
    kept = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return float(1.0 / (1.0 + np.exp(-np.mean(np.log(kept / (1 - kept))))))
