"""Instruct samples out of an author's passages: made by generators, put into splits, and looked through.

The answer is the author's own text, word for word; only of questions may it be a model's, each sentence supported by
the passage. Samples that answer from passages, in :mod:`twin_assets.dataset.generators.answering`, are made of these.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from types import MappingProxyType

from twin_assets.dataset import reviewed, sift
from twin_assets.dataset.generators import answering, conversations, paraphrases, summaries
from twin_assets.dataset.generators.answering import Source
from twin_assets.dataset.generators.base import OwnPassage, SampleGenerator, Writer, own_passages
from twin_assets.dataset.generators.extractive import Extractive
from twin_assets.dataset.samples import CITED, QUESTION, InstructDataset, InstructSample
from twin_assets.dataset.splits import Split, assign
from twin_resources.config.datasets import OwnKind
from twin_resources.retrieval.embedder import Encode
from twin_resources.storage.chunk_store import Chunk
from twin_resources.storage.samples.reviews import Review

_ASKS = (QUESTION, CITED)
"""Kinds that stand beside the sample of their passage, not in its place."""


def build(
    author_id: str,
    chunks: Iterable[Chunk],
    answering_share: float = answering.SHARE,
    splits: Mapping[str, Split | None] | None = None,
    encode: Encode | None = None,
    *,
    writer: Writer | None = None,
    reviews: Mapping[str, Review] = MappingProxyType({}),
    conversation_share: float = 0.0,
    paraphrase_share: float = 0.0,
    targets: Mapping[OwnKind, float] = MappingProxyType({}),
) -> InstructDataset:
    """Make samples from the current passages of one author.

    Args:
        chunks: in the order of document and position; read once, a document at a time.
        answering_share: the share of samples that answer from passages, in [0, 1).
        splits: the split of each document, None for one that is left out; without it they are assigned anew.
        encode: embeds texts, so that what repeats another sample in other words is left out as well.
        writer: asked first; passages that it makes no answer of are left to titles, headings and openings.
        reviews: what people decided, by the id of the sample as it is generated here.
        conversation_share: of the samples that follow another one of their document, those that go on from it.
        paraphrase_share: of the training samples without passages, those that stand there in other words as well.
        targets: the share of samples of a kind made without a language model, at most; of kinds not named, any.
    """
    own: list[OwnPassage] = []
    passages = 0
    texts: list[str] = []
    documents: list[str] = []
    dropped: Counter[str] = Counter()
    for document_id, group in groupby(chunks, key=lambda each: each.document_id):
        documents.append(document_id)
        cut = list(group)
        passages += len(cut)
        texts.append(cut[0].text)
        own += summaries.found(list(own_passages(cut, dropped)))
    splits = assign(documents) if splits is None else splits
    made = _made(own, splits, writer, Extractive(targets), dropped)
    dropped["between_splits"] += sum(not splits.get(sample.document_id) for sample in made)
    made = [replace(sample, split=split) for sample in made if (split := splits.get(sample.document_id))]
    languages = sift.languages_of(texts)
    candidates = len(made) + dropped["between_splits"]
    made = sift.fit(made, languages, dropped, encode)
    sources = {each.chunk.id: Source(each.chunk.title, each.chunk.heading, each.chunk.text.strip()) for each in own}
    asked = answering.with_answers(made, sources, answering_share, dropped)
    passages_of = {each.chunk.id: each for each in own}
    asked = paraphrases.added(asked, passages_of, paraphrase_share, dropped, writer.rephrase if writer else None)
    candidates += len(asked) - len(made)
    looked_at = {sample.id for sample in made}
    asked, against = reviewed.apply(asked, {key: source.text for key, source in sources.items()}, reviews)
    asked = paraphrases.with_original(asked, against, dropped)
    made = sift.fit(asked, languages, dropped, encode, looked_at=looked_at, against=against)
    made = conversations.stitched(made, conversation_share)
    return InstructDataset(author_id, made, +dropped, passages, candidates)


def _made(
    own: Sequence[OwnPassage],
    splits: Mapping[str, Split | None],
    writer: SampleGenerator | None,
    extractive: Extractive,
    dropped: Counter[str],
) -> list[InstructSample]:
    """Samples in the order of their passages: one with the author's text, and any question behind it."""
    usable = [each for each in own if splits.get(each.chunk.document_id)]
    written = list(writer.generate(usable, dropped)) if writer else []
    answered = {sample.chunk_ids[0] for sample in written if sample.kind not in _ASKS}
    rest = [each for each in own if each.chunk.id not in answered]
    found: dict[str, list[InstructSample]] = defaultdict(list)
    for sample in sorted((*written, *extractive.generate(rest, dropped)), key=lambda each: each.kind in _ASKS):
        found[sample.chunk_ids[0]].append(sample)
    return [sample for each in own for sample in found.pop(each.chunk.id, ())]
