"""``datasets/*``: immutable versions, made of the author's own words."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import dagster as dg

from twin_assets import keys
from twin_assets.dataset import answering, files, funnel, instruct, preference, retrieval, samples
from twin_assets.metadata import OWNERS, image, table
from twin_assets.partitions import AUTHORS
from twin_resources.models import hub
from twin_resources.quality.likeness import Encode
from twin_resources.retrieval.embedder import Embedder
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES
from twin_resources.storage.chunk_store import Chunk
from twin_resources.storage.datasets import Member

_KINDS = {"python", "parquet"}


class _Noted:
    """Passages as they are read, and what they were made of, so that a version can be read again as it stood."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = chunks
        self._documents: set[str] = set()
        self._chunkers: set[str] = set()

    def __iter__(self) -> Iterator[Chunk]:
        for chunk in self._chunks:
            self._documents.add(chunk.clean_document_id)
            self._chunkers.add(chunk.chunker)
            yield chunk

    def snapshot(self) -> dict[str, list[str]]:
        """For the manifest: ids of the clean documents, and ways of cutting."""
        return {"clean_documents": sorted(self._documents), "chunkers": sorted(self._chunkers)}


def _store(twin: Twin, kind: str, dataset_id: str, write: Callable[[Path], None]) -> str:
    """Write a version's files and return their address; does nothing where the version is already stored."""
    known = twin.datasets.get(dataset_id)
    if known and twin.artifacts.exists(known.artifact):
        return known.artifact
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return twin.artifacts.put(f"datasets/{kind}", Path(folder))


@dg.asset(
    key=keys.INSTRUCT,
    deps=keys.CHUNKS,
    group_name="dataset",
    kinds=_KINDS,
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=samples.CODE_VERSION,
    description="Instruction and answer pairs for supervised fine-tuning. Every answer is the author's own text; the "
    "instruction comes from titles, headings and sentences. Some ask for sentences of one passage among others, under "
    "its number, or for silence where the right one is missing. Split by document and decontaminated.",
)
def instruct_dataset(context: dg.AssetExecutionContext, twin: Twin) -> dg.MaterializeResult:
    author_id = context.partition_key
    author = twin.author(author_id)
    passages = _Noted(twin.features.passages(author_id).rows)
    dataset = instruct.build(author_id, passages, twin.settings.training.answering_share, _encoder(twin))
    counts = Counter(sample.split for sample in dataset.samples)
    kinds = Counter(sample.kind for sample in dataset.samples)
    facts = {
        "author": author.name,
        "version": dataset.id,
        **{f"{split} samples": counts[split] for split in files.SPLITS},
        "documents": len({sample.document_id for sample in dataset.samples}),
        "answers from passages": kinds[answering.ANSWER],
        "silent, because the right passage is missing": kinds[answering.SILENCE],
        "snapshot 1": ", ".join(f"{name} {twin.warehouse.clean.hash(author_id, name)[:12]}" for name in CATEGORIES),
        "code version": samples.CODE_VERSION,
    }
    example = dataset.samples[0] if dataset.samples else None
    text = files.card(
        f"Instruct dataset of {author.name}",
        f"Instruction and answer pairs. Every answer is {author.name}'s own published text, word for word. Answers "
        "from passages carry the number of their passage behind each sentence; where the passage that answers is not "
        "among those shown, the answer is that nothing was written.",
        facts,
        dataset.dropped,
        f"> **{example.instruction}**\n>\n> {example.answer[:600]}" if example else "No samples.",
    )
    artifact = _store(twin, "instruct", dataset.id, lambda folder: files.write_instruct(folder, dataset, text))
    manifest = {
        "splits": {split: counts[split] for split in files.SPLITS},
        "kinds": dict(kinds),
        "categories": dict(Counter(sample.category for sample in dataset.samples)),
        "dropped": dict(dataset.dropped),
        "facts": {name: str(value) for name, value in facts.items()},
        "snapshot": passages.snapshot(),
    }
    twin.datasets.add(dataset.id, author_id, "instruct", artifact, manifest, _members(dataset))
    shown = [
        {"split": sample.split, "kind": sample.kind, "instruction": sample.instruction, "answer": sample.answer}
        for sample in dataset.samples[:: max(1, len(dataset.samples) // 10)][:10]
    ]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(dataset.id),
        metadata={
            "dagster/row_count": len(dataset.samples),
            **{split: counts[split] for split in files.SPLITS},
            "dropped": dict(dataset.dropped),
            "funnel": _funnel(dataset),
            "artifact": artifact,
            "card": dg.MetadataValue.md(text),
            "sample": table(shown, ("split", "kind", "instruction", "answer")),
        },
    )


def _encoder(twin: Twin) -> Encode | None:
    """Embeds texts by the configured model, which is loaded for the first text; None where it is not to be had."""
    try:
        hub.resolve(twin.settings.models.embedding, twin.settings)
    except hub.ModelNotFound:
        return None
    return lambda texts: Embedder.of(twin.settings).encode(texts)


def _funnel(dataset: samples.InstructDataset) -> dg.MarkdownMetadataValue:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "funnel.png"
        funnel.draw(dataset, path)
        return image(path)


def _members(dataset: samples.InstructDataset) -> Iterator[Member]:
    """Each sample with each passage it was made of; a distractor is a passage that another sample comes from."""
    documents = {sample.chunk_ids[0]: (sample.document_id, sample.url) for sample in dataset.samples}
    for sample in dataset.samples:
        for chunk_id in sample.chunk_ids:
            document_id, url = documents[chunk_id]
            yield Member(sample.id, chunk_id, document_id, url, sample.split)


@dg.asset(
    key=keys.RETRIEVAL,
    deps=keys.CHUNKS,
    group_name="dataset",
    kinds=_KINDS,
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=retrieval.CODE_VERSION,
    description="Questions with the passages that answer them, made from headings and keywords; measures search.",
)
def retrieval_dataset(context: dg.AssetExecutionContext, twin: Twin) -> dg.MaterializeResult:
    author_id = context.partition_key
    author = twin.author(author_id)
    passages = _Noted(twin.features.passages(author_id).rows)
    dataset = retrieval.build(author_id, passages)
    kinds = Counter(query.kind for query in dataset.queries)
    text = files.card(
        f"Retrieval questions on {author.name}",
        "Questions and the passages that answer them. Their words stand in the passages, so figures on them compare "
        "ways of searching; they do not say how well readers' own questions do.",
        {"author": author.name, "version": dataset.id, "queries": len(dataset.queries), **kinds},
        {},
        f"> {dataset.queries[0].text}" if dataset.queries else "No questions.",
    )
    artifact = _store(twin, "retrieval", dataset.id, lambda folder: files.write_retrieval(folder, dataset, text))
    members = (
        Member(query.id, chunk_id, query.document_id, query.url, "test")
        for query in dataset.queries
        for chunk_id in query.relevant
    )
    manifest = {"kinds": dict(kinds), "snapshot": passages.snapshot()}
    twin.datasets.add(dataset.id, author_id, "retrieval", artifact, manifest, members)
    shown = [{"kind": query.kind, "question": query.text, "document": query.url} for query in dataset.queries[:12]]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(dataset.id),
        metadata={
            "dagster/row_count": len(dataset.queries),
            "artifact": artifact,
            "card": dg.MetadataValue.md(text),
            "sample": table(shown, ("kind", "question", "document")),
        },
    )


@dg.asset(
    key=keys.PREFERENCE,
    deps=[keys.INTERACTIONS],
    group_name="dataset",
    kinds=_KINDS,
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=preference.CODE_VERSION,
    description="Prompt, chosen and rejected, from answers that readers corrected: the correction is chosen.",
)
def preference_dataset(context: dg.AssetExecutionContext, twin: Twin) -> dg.MaterializeResult:
    author_id = context.partition_key
    author = twin.record_author(author_id)  # nothing is collected before this asset
    pairs, dropped = preference.build(twin.interactions.corrections(author_id))
    dataset_id = preference.dataset_id(author_id, pairs)
    text = files.card(
        f"Preference dataset of {author.name}",
        "Pairs from readers' corrections of the twin's answers.",
        {"author": author.name, "version": dataset_id, "pairs": len(pairs)},
        dropped,
        f"> **{pairs[0].prompt}**\n>\n> {pairs[0].chosen}" if pairs else "Nobody has corrected an answer yet.",
    )
    artifact = _store(twin, "preference", dataset_id, lambda folder: files.write_preference(folder, pairs, text))
    twin.datasets.add(dataset_id, author_id, "preference", artifact, {"pairs": len(pairs), "dropped": dropped}, ())
    return dg.MaterializeResult(
        data_version=dg.DataVersion(dataset_id),
        metadata={
            "dagster/row_count": len(pairs),
            "artifact": artifact,
            "card": dg.MetadataValue.md(text),
        },
    )


dataset_assets = [instruct_dataset, retrieval_dataset, preference_dataset]
