"""Samples that answer a question from passages, and samples that are silent because none of them answers it.

Retrieval-augmented fine-tuning (RAFT, Zhang et al. 2024, arXiv:2403.10131), for which no language model is needed: the
question comes from a heading, from the keywords of a sentence, or from a model where there is one. The right passage
stands among others of the same author, and the answer is sentences of it, verbatim, each with the marker of the
passage. In :data:`SILENT` of the samples the right passage is left out, and the answer is that nothing was written.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from twin_assets.dataset.samples import CITED, QUESTION, InstructSample, SamplePassage
from twin_resources.rag.prompt import neutral
from twin_resources.rag.silence import is_saying, saying
from twin_resources.text.identity import bucket, content_id, share_of
from twin_resources.text.languages import language_of
from twin_resources.text.sentences import MARKER
from twin_resources.text.units import Unit, units
from twin_resources.text.words import STOP_WORDS, WORD, content_words, grams

ANSWER, SILENCE = "answer", "silence"
"""Kinds of samples; all others carry no passages."""
SHARE = 0.4
"""Share of samples that answer from passages, where nothing else is configured."""
SILENT = 0.25
WORDS = 80
"""A passage is cut to so many words around what is quoted, so that whole prompts are short enough to train on."""
FEWER_WORDS = (56, 40, 24)
"""To so many in turn where tokens are short words: of links, code, or another language."""
PASSAGES = 3
_DRAWN = 16
"""Passages that are looked at for the nearest distractors."""
_FEWEST_WORDS, _MOST_WORDS = 6, 40
_QUOTED_WORDS, _QUOTED_SENTENCES = 60, 3
_KEYWORDS = 8
_FEWEST_KEYWORDS = 3
_CITED = re.compile(r" \[(\d+)\](?:\s+|$)")

_HEADINGS = ("{heading}", "What do you say about “{heading}”?", "{heading}: what have you written about it?")
_SENTENCES = ("{words}", "What have you written about {words}?", "Tell me about {words}.")


@dataclass(frozen=True)
class Source:
    """The passage that a sample was made of."""

    title: str
    heading: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class _Question:
    """A question and the span of the source that answers it, sentence by sentence."""

    text: str
    sentences: tuple[str, ...]
    start: int
    end: int


def authors_words(sample: InstructSample) -> frozenset[int]:
    """5-grams of the author's words that a sample teaches, see :func:`~twin_resources.text.words.grams`; none where the
    answer need not be in them: where a model wrote it, or somebody edited it and the passage supports it."""
    free = sample.kind in (SILENCE, QUESTION) or sample.reviewed_by
    return frozenset() if free else grams(MARKER.sub("", sample.answer))


def misquoted(sample: InstructSample) -> str | None:
    """What is wrong with the answer of a sample with passages, or None: every sentence has to stand in the right
    passage, under its number, and a silent one may not show the passage that answers.

    Edited ones have been looked at: a passage has to support what they say, not to hold it word for word.
    """
    if not sample.passages or sample.reviewed_by:
        return None
    right = sample.chunk_ids[0]
    if sample.kind == SILENCE:
        if right in {each.chunk_id for each in sample.passages}:
            return "it is silent beside the passage that answers"
        return None if is_saying(sample.answer) else f"this is not how silence is said: {sample.answer[:60]}"
    *cited, rest = _CITED.split(sample.answer)
    if rest or not cited:
        return f"no passage is named for: {rest[:60]}"
    for sentence, marker in zip(cited[::2], map(int, cited[1::2]), strict=True):
        if not 1 <= marker <= len(sample.passages) or sample.passages[marker - 1].chunk_id != right:
            return f"[{marker}] is not the passage that answers"
        if sentence not in sample.passages[marker - 1].text:
            return f"this stands not in passage {marker}: {sentence[:60]}"
    return None


def shorter(sample: InstructSample, words: int) -> InstructSample:
    """A sample whose passages have at most so many words, whole sentences; what its answer quotes stays, and with it
    numbers and titles. A passage that it answers from in other words than the passage's is left as it is."""
    right = sample.chunk_ids[0] if sample.kind != SILENCE else ""
    quoted = _CITED.split(sample.answer)[:-1:2]
    passages = []
    for each in sample.passages:
        start, end = 0, units(each.text)[0].end
        if each.chunk_id == right:
            spans = [(found, found + len(said)) for said in quoted if (found := each.text.find(said)) >= 0]
            if not spans or len(spans) < len(quoted):
                passages.append(each)
                continue
            start, end = min(first for first, _ in spans), max(last for _, last in spans)
        passages.append(replace(each, text=_excerpt(each.text, start, end, words) or each.text[start:end]))
    return replace(sample, passages=tuple(passages))


def with_answers(
    samples: Sequence[InstructSample], sources: Mapping[str, Source], share: float, dropped: Counter[str]
) -> list[InstructSample]:
    """``samples`` with answering ones between them, each behind the sample whose passage it asks for. Those of the kind
    :data:`CITED` become answering ones before any others are made, and do not stay as they are.

    Args:
        sources: the passages that samples come from, by chunk id.
        share: of answering samples among all, in [0, 1).
        dropped: counts what is left out.
    """
    by_split: dict[str, list[InstructSample]] = defaultdict(list)
    for sample in samples:
        by_split[sample.split].append(sample)
    made: dict[str, list[InstructSample]] = defaultdict(list)
    for mine in by_split.values():
        wanted = round(sum(each.kind != CITED for each in mine) * share / (1 - share))
        for sample, origin in _answering(mine, sources, wanted, dropped):
            made[origin].append(sample)
    every = [each for sample in samples for each in (sample, *made[sample.id])]
    return [each for each in every if each.kind != CITED]


def _answering(
    samples: Sequence[InstructSample], sources: Mapping[str, Source], wanted: int, dropped: Counter[str]
) -> Iterator[tuple[InstructSample, str]]:
    """Up to ``wanted`` answering samples of one split, spread over it by hash, each with the id of its origin."""
    asked: dict[str, tuple[InstructSample, _Question]] = {}
    for sample in samples:
        for question in _questions(sample, sources[sample.chunk_ids[0]]):
            if question.text in asked:
                dropped["repeated_question"] += 1
            else:
                asked[question.text] = (sample, question)
    drawn = sorted(asked, key=lambda each: hashlib.sha256(each.encode()).digest())
    for text in sorted(drawn, key=lambda each: asked[each][0].kind != CITED):
        if wanted <= 0:
            return
        sample, question = asked[text]
        made = _sample(sample, question, samples, sources)
        if made is None:
            dropped["no_distractor"] += 1
            continue
        wanted -= 1
        yield made, sample.id


def _questions(sample: InstructSample, source: Source) -> Iterator[_Question]:
    """What can be asked of a passage: its heading, where it opens a section, and one of its sentences; of one with a
    question of its own, that."""
    offset = source.text.find(sample.answer)
    found = [unit for unit in units(sample.answer) if unit.kind == "sentence"] if offset >= 0 else []
    if sample.kind == CITED:
        run = _run(sample.answer, found, 0) if found else []
        if run and len(run) == len(found):
            yield _question(sample.instruction, sample.answer, run, offset)
        return
    heading = source.heading[-1].strip(" #*") if source.heading else ""
    if found and sample.kind == "section" and len(WORD.findall(heading)) >= _FEWEST_KEYWORDS:
        template = "{heading}" if heading.endswith("?") else _HEADINGS[bucket("heading/" + sample.id, len(_HEADINGS))]
        if run := _run(sample.answer, found, 0):
            yield _question(template.format(heading=heading), sample.answer, run, offset)
    starts = [place for place in range(len(found)) if _run(sample.answer, found, place)]
    if starts:
        run = _run(sample.answer, found, starts[bucket("sentence/" + sample.id, len(starts))])
        words = _keywords(sample.answer[run[0].start : run[0].end])
        if len(words) >= _FEWEST_KEYWORDS:
            template = _SENTENCES[bucket("words/" + sample.id, len(_SENTENCES))]
            yield _question(template.format(words=" ".join(words)), sample.answer, run, offset)


def _question(text: str, own: str, run: Sequence[Unit], offset: int) -> _Question:
    said = tuple(own[unit.start : unit.end] for unit in run)
    return _Question(text, said, offset + run[0].start, offset + run[-1].end)


def _keywords(sentence: str) -> list[str]:
    words = [match.group() for match in WORD.finditer(sentence)]
    return list(dict.fromkeys(word for word in words if word.casefold() not in STOP_WORDS and len(word) > 2))[
        :_KEYWORDS
    ]


def _run(own: str, found: Sequence[Unit], first: int) -> list[Unit]:
    """Sentences of one paragraph from ``first`` on that can be quoted together; none where that one cannot be."""
    run: list[Unit] = []
    words = 0
    for unit in found[first : first + _QUOTED_SENTENCES]:
        sentence = own[unit.start : unit.end]
        words += len(sentence.split())
        usable = _FEWEST_WORDS <= len(sentence.split()) <= _MOST_WORDS and words <= _QUOTED_WORDS
        if not usable or MARKER.search(sentence) or neutral(sentence) != sentence:
            break
        if run and unit.block != run[0].block:
            break
        run.append(unit)
    return run


def _sample(
    origin: InstructSample, question: _Question, samples: Sequence[InstructSample], sources: Mapping[str, Source]
) -> InstructSample | None:
    """The sample that asks a question; None where its passage is too long or nothing can stand beside it."""
    key = content_id("answering", origin.chunk_ids[0], question.text)
    source = sources[origin.chunk_ids[0]]
    silent = share_of("silent/" + key) < SILENT
    others = _distractors(key, origin, question.text, samples, sources)[:PASSAGES]
    right = _excerpt(source.text, question.start, question.end)
    if not others or right is None:
        return None
    if silent:
        kind, passages, answer = SILENCE, others, saying(language_of(source.text) or "en")
    else:
        others = others[:-1]  # as many passages as beside silence, so that their number tells nothing
        place = bucket("place/" + key, len(others) + 1)
        shown = SamplePassage(source.title, right, origin.chunk_ids[0])
        kind, passages = ANSWER, [*others[:place], shown, *others[place:]]
        answer = " ".join(f"{sentence} [{place + 1}]" for sentence in question.sentences)
    chunk_ids = (origin.chunk_ids[0], *(each.chunk_id for each in others))
    made = content_id("sample", question.text, answer, *(part for each in passages for part in (each.title, each.text)))
    return replace(
        origin,
        id=made,
        kind=kind,
        instruction=question.text,
        answer=answer,
        passages=tuple(passages),
        chunk_ids=chunk_ids,
    )


def _distractors(
    key: str,
    origin: InstructSample,
    question: str,
    samples: Sequence[InstructSample],
    sources: Mapping[str, Source],
) -> list[SamplePassage]:
    """Passages of other documents, of those drawn the ones that share most words with a question, the nearest first.

    One that holds more than half of the question's words may answer it, and is no distractor.
    """
    wanted = content_words(question)
    near: list[tuple[int, SamplePassage]] = []
    seen = {origin.chunk_ids[0]}
    for number in range(_DRAWN):
        other = samples[bucket(f"distractor/{key}/{number}", len(samples))]
        chunk_id = other.chunk_ids[0]
        if other.document_id == origin.document_id or chunk_id in seen:
            continue
        seen.add(chunk_id)
        source = sources[chunk_id]
        at = bucket(f"excerpt/{key}/{number}", len(source.text))
        text = _excerpt(source.text, at, at + 1)
        shared = len(wanted & content_words(text)) if text else 0
        if text and 2 * shared <= len(wanted):
            near.append((-shared, SamplePassage(source.title, text, chunk_id)))
    return [passage for _, passage in sorted(near, key=lambda each: each[0])]


def _excerpt(text: str, start: int, end: int, words: int = WORDS) -> str | None:
    """What stands around ``text[start:end]``, whole sentences, of so many words at most; None where that span alone is
    longer."""
    found = units(text)
    inside = [place for place, unit in enumerate(found) if unit.end > start and unit.start < end]
    if not inside:
        return None
    first, last = inside[0], inside[-1]

    def fits(low: int, high: int) -> bool:
        return low >= 0 and high < len(found) and len(text[found[low].start : found[high].end].split()) <= words

    if not fits(first, last):
        return None
    while True:
        grown = (first, last)
        if fits(first, last + 1):
            last += 1
        if fits(first - 1, last):
            first -= 1
        if grown == (first, last):
            return text[found[first].start : found[last].end]
