"""``datasets/*``: immutable versions, made of the author's own words when enough of them changed."""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg

from twin_assets import keys
from twin_assets.dataset import files, instruct, reviewed, rivals, samples
from twin_assets.dataset.generators import answering, preference, retrieval
from twin_assets.dataset.generators.llm import LanguageModel
from twin_assets.dataset.generators.preference import PreferencePair
from twin_assets.dataset.generators.rejected import length_auc
from twin_assets.dataset.generators.retrieval import Query
from twin_assets.dataset.samples import InstructSample
from twin_assets.dataset.splits import part_of, split_of
from twin_assets.dataset.versioning import changes, funnel, preferences, versions
from twin_assets.dataset.versioning.card import Card
from twin_assets.embed.beside import encoding
from twin_assets.metadata import OWNERS, artifact, columns, image, table
from twin_assets.partitions import AUTHORS
from twin_resources import report
from twin_resources.generation.completions import Completions
from twin_resources.models import hub
from twin_resources.rag import prompt
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import ASKED, AUTOMATIC, STARTED_BY, Twin
from twin_resources.sources.base import CATEGORIES
from twin_resources.storage.chunk_store import Chunk
from twin_resources.storage.datasets import Member, Split
from twin_resources.text.identity import content_id

_KINDS = {"python", "parquet"}


def _asked(context: dg.AssetExecutionContext) -> bool:
    """Whether a person asked for this very asset: in Dagster's page, or by selecting it."""
    by = context.run.tags.get(STARTED_BY)
    return context.run.tags.get(ASKED) == "true" or by not in (AUTOMATIC, "twin run")


def _kept(due: versions.Due, spent: Mapping[str, Any] = MappingProxyType({})) -> dg.MaterializeResult:
    """The newest version stands; nothing that follows from it moves."""
    assert due.newest is not None
    return dg.MaterializeResult(
        data_version=dg.DataVersion(due.newest.id),
        metadata={"version": due.newest.id, "made_now": False, "waiting": due.waits, **spent},
    )


@dg.asset(
    key=keys.INSTRUCT,
    deps=keys.CHUNKS,
    group_name="dataset",
    kinds=_KINDS,
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=samples.CODE_VERSION,
    metadata=columns(InstructSample),
    description="Instruction and answer pairs for supervised fine-tuning. Every answer is the author's own text; the "
    "instruction comes from titles, headings and sentences. Some show a document and ask for its summary, some ask for "
    "code with an explanation, some for sentences of one passage among others, under its number, or for silence where "
    "the right one is missing; some go on from the passages before theirs. Split by document, for ever, and "
    "decontaminated. A version is made when enough changed (`datasets:` in twin.yaml), when a document goes, or when "
    "somebody asks.",
)
def instruct_dataset(context: dg.AssetExecutionContext, twin: Twin) -> dg.MaterializeResult:
    author_id = context.partition_key
    author = twin.author(author_id)
    works = versions.Works.of(twin, author_id)
    splits: dict[str, Split | None] = {key: split_of(place) for key, place in works.places.items()}
    passages = versions.Noted(twin.features.passages(author_id).rows)
    snapshot = {name: twin.warehouse.clean.hash(author_id, name) for name in CATEGORIES}
    made_of = _made_of(twin, author_id, snapshot, splits)
    newest = twin.datasets.newest(author_id, "instruct")
    withdrawn = works.withdrawn(twin.datasets.members(newest.id) if newest else (), splits)
    with _language_model(twin, context.log.info) as writer:
        build = cache(lambda: _built(twin, author_id, passages, splits, writer))
        made_by = _made_by(twin, writer)

        def compare(folder: Path) -> changes.Change:
            if newest and newest.manifest.get("made_of") == made_of and writer is None:
                return changes.Change(0, 0, 0.0, len(withdrawn))
            stored = (sample for split in files.SPLITS for sample in files.read_samples(folder / f"{split}.parquet"))
            ours = versions.of_one_document(build().samples)
            return changes.change(versions.of_one_document(stored), ours, withdrawn)

        due = versions.due(twin, newest, made_by, compare, asked=_asked(context))
        if due.why is None:
            return _kept(due, _spent(twin, writer))
        dataset = build()
    counts = Counter(sample.split for sample in dataset.samples)
    kinds = Counter(sample.kind for sample in dataset.samples)
    facts = {
        "author": author.name,
        "version": dataset.id,
        **{f"{split} samples": counts[split] for split in files.SPLITS},
        "documents": len({sample.document_id for sample in dataset.samples}),
        "answers from passages": kinds[answering.ANSWER],
        "silent, because the right passage is missing": kinds[answering.SILENCE],
        "going on from earlier turns": sum(bool(sample.history) for sample in dataset.samples),
        "another one in other words": sum(bool(sample.paraphrase_of) for sample in dataset.samples),
        "snapshot 1": ", ".join(f"{name} {each[:12]}" for name, each in snapshot.items()),
        "code version": samples.CODE_VERSION,
        **_written(made_by, kinds),
    }
    write = partial(
        versions.write_instruct, dataset=dataset, name=author.name, facts=facts, made_by=made_by, works=works
    )
    address = versions.store(twin, "instruct", dataset.id, write)
    manifest = {
        "splits": {split: counts[split] for split in files.SPLITS},
        "kinds": dict(kinds),
        "categories": dict(Counter(sample.category for sample in dataset.samples)),
        "passages": dataset.passages,
        "candidates": dataset.candidates,
        "dropped": dict(dataset.dropped),
        "facts": {name: str(value) for name, value in facts.items()},
        "snapshot": passages.snapshot(),
        "made_by": made_by,
        "made_of": made_of,
        **reviewed.described(dataset.samples, dataset.dropped),
    }
    twin.datasets.add(dataset.id, author_id, "instruct", address, manifest, _members(dataset))
    shown = [
        {"split": sample.split, "kind": sample.kind, "instruction": sample.instruction, "answer": sample.answer}
        for sample in dataset.samples[:: max(1, len(dataset.samples) // 10)][:10]
    ]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(dataset.id),
        metadata={
            "dagster/row_count": len(dataset.samples),
            "version": dataset.id,
            "made_now": True,
            "because": due.why,
            **{split: counts[split] for split in files.SPLITS},
            "dropped": dict(dataset.dropped),
            "funnel": _drawn(lambda path: funnel.draw(dataset, path)),
            **reviewed.described(dataset.samples, dataset.dropped),
            **_spent(twin, writer),
            **artifact(twin.artifacts.url, address),
            "card": dg.MetadataValue.md(versions.instruct_card(dataset, author.name, facts).text),
            **{path.stem: image(path) for path in sorted((twin.artifacts.folder(address) / "plots").glob("*.png"))},
            "sample": table(shown, ("split", "kind", "instruction", "answer")),
        },
    )


@contextlib.contextmanager
def _language_model(twin: Twin, progress: Callable[[str], None]) -> Iterator[LanguageModel | None]:
    """The language model that ``TWIN_GENERATOR_URL`` names; None where it names none."""
    server = Completions.of(twin.settings)
    if server is None:
        yield None
        return
    with contextlib.closing(server):
        yield LanguageModel(server, twin.responses, twin.settings.datasets.generator, progress)


def _spent(twin: Twin, writer: LanguageModel | None) -> dict[str, Any]:
    """What a language model took, as metadata."""
    if writer is None:
        return {}
    cost = writer.usage.cost(twin.settings.datasets.generator)
    return {"language model": {**asdict(writer.usage), **({} if cost is None else {"cost": cost})}}


def _written(made_by: Mapping[str, Any], kinds: Mapping[str, int]) -> dict[str, Any]:
    """What a language model had a part in, as facts."""
    by = made_by.get("language_model")
    if by is None:
        return {}
    return {
        "language model": f"{by['model']}, prompt version {by['prompt']}",
        "instructions by the language model": sum(kinds.get(kind, 0) for kind in by["targets"]),
        "of them with an answer in its words, supported by the passage": kinds.get(samples.QUESTION, 0),
    }


def _made_by(twin: Twin, writer: LanguageModel | None) -> dict[str, Any]:
    """What decides besides the documents: how samples are made and divided. Whatever is drawn is drawn by the hash of
    its content, so there is no seed to remember."""
    return {
        **({"language_model": writer.made_by} if writer else {}),
        "generator": "instruct",
        "code": samples.CODE_VERSION,
        "prompt": prompt.CODE_VERSION,
        "parameters": {
            "answering_share": twin.settings.training.answering_share,
            "conversations": twin.settings.datasets.conversations,
            "paraphrases": twin.settings.datasets.paraphrases,
            "kinds": dict(sorted(twin.settings.datasets.kinds.items())),
            "split": twin.settings.datasets.split,
        },
        "seeds": "by content hash",
    }


def _made_of(twin: Twin, author_id: str, snapshot: Mapping[str, str], splits: Mapping[str, Split | None]) -> str:
    """A hash of all that a version follows from, beside how it is made and what a language model says: as long as it
    stays, nothing has to be made to see that nothing changed."""
    passages = [twin.warehouse.chunks.hash(author_id, name) for name in CATEGORIES]
    reviews = sorted((key, each.verdict, each.edited_id) for key, each in twin.reviews.of(author_id).items())
    model = twin.settings.models.embedding if _embedding(twin) else None
    return content_id("made of", *snapshot.values(), *passages, sorted(splits.items()), reviews, model)


def _built(
    twin: Twin,
    author_id: str,
    passages: Iterable[Chunk],
    splits: Mapping[str, Split | None],
    writer: LanguageModel | None,
) -> samples.InstructDataset:
    folder = _embedding(twin)
    with encoding(twin.settings.models.embedding, folder) if folder else contextlib.nullcontext() as encode:
        return instruct.build(
            author_id,
            passages,
            twin.settings.training.answering_share,
            splits,
            encode,
            writer=writer,
            reviews=twin.reviews.of(author_id),
            conversation_share=twin.settings.datasets.conversations,
            paraphrase_share=twin.settings.datasets.paraphrases,
            targets=twin.settings.datasets.kinds,
        )


def _embedding(twin: Twin) -> Path | None:
    """The folder of the configured embedding model; None where it is not to be had."""
    try:
        return hub.resolve(twin.settings.models.embedding, twin.settings)
    except hub.ModelNotFound:
        return None


def _drawn(draw: Callable[[Path], None]) -> dg.MarkdownMetadataValue:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "funnel.png"
        draw(path)
        return image(path)


def _members(dataset: samples.InstructDataset) -> Iterator[Member]:
    """Each sample with each passage it was made of; a distractor is a passage that another sample comes from, and what
    a summary sums up is of its own document."""
    documents = {sample.chunk_ids[0]: (sample.document_id, sample.url) for sample in dataset.samples}
    for sample in dataset.samples:
        for chunk_id in sample.chunk_ids:
            document_id, url = documents.get(chunk_id, (sample.document_id, sample.url))
            yield Member(sample.id, chunk_id, document_id, url, sample.split)


@dg.asset(
    key=keys.RETRIEVAL,
    deps=keys.CHUNKS,
    group_name="dataset",
    kinds=_KINDS,
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=retrieval.CODE_VERSION,
    metadata=columns(Query),
    description="Questions with the passages that answer them, made from headings and keywords; measures search, and "
    "teaches the re-ranker. Made when enough changed, as datasets/instruct.",
)
def retrieval_dataset(context: dg.AssetExecutionContext, twin: Twin) -> dg.MaterializeResult:
    author_id = context.partition_key
    author = twin.author(author_id)
    works = versions.Works.of(twin, author_id)
    passages = versions.Noted(twin.features.passages(author_id).rows)
    parts: dict[str, Split | None] = {key: part_of(place) for key, place in works.places.items()}
    dataset = retrieval.build(author_id, passages, parts=parts)
    made_by = {"generator": "retrieval", "code": retrieval.CODE_VERSION, "seeds": "by content hash"}
    newest = twin.datasets.newest(author_id, "retrieval")
    withdrawn = works.withdrawn(twin.datasets.members(newest.id) if newest else ())

    def compare(folder: Path) -> changes.Change:
        stored = files.read_queries(folder)
        return changes.change(versions.of_one_question(stored), versions.of_one_question(dataset.queries), withdrawn)

    due = versions.due(twin, newest, made_by, compare, asked=_asked(context))
    if due.why is None:
        return _kept(due)
    kinds = Counter(query.kind for query in dataset.queries)
    card = Card(
        f"Retrieval questions on {author.name}",
        "Questions and the passages that answer them. Their words stand in the passages, so figures on them compare "
        "ways of searching; they do not say how well readers' own questions do.",
        {"author": author.name, "version": dataset.id, "queries": len(dataset.queries), **kinds},
        {"test": "queries.parquet"},
        len(dataset.queries),
        examples=[f"> {query.text}" for query in dataset.queries[:3]],
        tasks=("text-retrieval",),
    )

    def write(folder: Path) -> None:
        files.write_retrieval(folder, dataset)
        card.write(folder)
        documents = works.described(query.document_id for query in dataset.queries)
        manifest = {"version": dataset.id, "kind": "retrieval", "author": author_id, "made_by": made_by}
        files.write_manifest(folder, {**manifest, "documents": documents})

    address = versions.store(twin, "retrieval", dataset.id, write)
    members = (
        Member(query.id, chunk_id, query.document_id, query.url, "test")
        for query in dataset.queries
        for chunk_id in query.relevant
    )
    manifest = {"kinds": dict(kinds), "snapshot": passages.snapshot(), "made_by": made_by}
    twin.datasets.add(dataset.id, author_id, "retrieval", address, manifest, members)
    shown = [{"kind": query.kind, "question": query.text, "document": query.url} for query in dataset.queries[:12]]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(dataset.id),
        metadata={
            "dagster/row_count": len(dataset.queries),
            "version": dataset.id,
            "made_now": True,
            "because": due.why,
            **artifact(twin.artifacts.url, address),
            "card": dg.MetadataValue.md(card.text),
            "sample": table(shown, ("kind", "question", "document")),
        },
    )


@dg.asset(
    key=keys.PREFERENCE,
    deps=[keys.INTERACTIONS, keys.INSTRUCT],
    group_name="dataset",
    kinds=_KINDS,
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=preference.CODE_VERSION,
    metadata=columns(PreferencePair),
    pool="gpu",
    description="Prompt, chosen and rejected: from answers that readers corrected, and, where `datasets.preference` "
    "asks for it, the author's own text over what base, champion or another author's adapter answer to the same "
    "prompt. An answer that is as good by our own measures is left out, and lengths tell nothing.",
)
def preference_dataset(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
    author_id = context.partition_key
    author = twin.record_author(author_id)  # nothing is collected before this asset
    corrected, unfit = preference.build(twin.interactions.corrections(author_id))
    rivalry = rivals.made(twin, author_id, lambda extras: compute.launch(context, "twin_assets.dataset.job", extras))
    if rivalry.says:
        context.log.info(rivalry.says)
    pairs = sorted((*corrected, *rivalry.pairs), key=lambda pair: pair.id)
    dropped = dict(Counter(unfit) + rivalry.dropped)
    origins = dict(Counter(pair.rejected_from for pair in pairs))
    dataset_id = preference.dataset_id(author_id, pairs)
    made_by: dict[str, Any] = {"generator": "preference", "code": preference.CODE_VERSION}
    if rivalry.asked:
        made_by["parameters"] = twin.settings.datasets.preference.model_dump(mode="json")
    card = preferences.card(author.name, dataset_id, pairs, dropped, made_by)

    def write(folder: Path) -> None:
        files.write_preference(folder, pairs)
        card.write(folder)
        manifest = {"version": dataset_id, "kind": "preference", "author": author_id, "made_by": made_by}
        files.write_manifest(folder, {**manifest, "origins": origins, "pairs": [pair.trace_id for pair in pairs]})

    address = versions.store(twin, "preference", dataset_id, write)
    manifest = {"pairs": len(pairs), "origins": origins, "dropped": dropped, "made_by": made_by}
    twin.datasets.add(dataset_id, author_id, "preference", address, manifest, preferences.members(pairs))
    steps = preferences.steps(rivalry.asked, pairs, dropped)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(dataset_id),
        metadata={
            "dagster/row_count": len(pairs),
            "version": dataset_id,
            **{f"rejected from {origin}": count for origin, count in origins.items()},
            **({"models": rivalry.says} if rivalry.says else {}),
            "dropped": dropped,
            "length_auc": round(length_auc(rivalry.pairs), 3),
            "funnel": _drawn(lambda path: report.levels(steps, path, "count", fmt="{:,.0f}")),
            **artifact(twin.artifacts.url, address),
            "card": dg.MetadataValue.md(card.text),
        },
    )


dataset_assets = [instruct_dataset, retrieval_dataset, preference_dataset]
