"""Making a dataset version of an author: which documents may be in it, whether one is due, and where it is kept."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from twin_assets.dataset import files, reviewed
from twin_assets.dataset.generators.answering import ANSWER, SILENCE
from twin_assets.dataset.generators.retrieval import Query
from twin_assets.dataset.samples import QUESTION, InstructDataset, InstructSample
from twin_assets.dataset.splits import settle
from twin_assets.dataset.versioning import changes
from twin_assets.dataset.versioning.card import PLOTS, Card, examples, plot
from twin_assets.dataset.versioning.changes import Change
from twin_resources.config.datasets import DatasetSettings
from twin_resources.runtime.resources import Twin
from twin_resources.storage.chunk_store import Chunk
from twin_resources.storage.clean_store import Writing
from twin_resources.storage.datasets import DatasetVersion, Member, Place
from twin_resources.text.identity import content_id


class Noted:
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


@dataclass(frozen=True)
class Works:
    """The documents of an author that are used, by id, and their places."""

    writings: Mapping[str, Writing]
    places: Mapping[str, Place]

    @classmethod
    def of(cls, twin: Twin, author_id: str) -> Works:
        """As they stand now; new documents get their places, for ever."""
        writings = twin.warehouse.clean.writings(author_id)
        places = twin.places.update(author_id, partial(settle, writings, by=twin.settings.datasets.split))
        return cls({each.document_id: each for each in writings if each.used}, places)

    def withdrawn(self, members: Iterable[Member], splits: Mapping[str, str | None] | None = None) -> set[str]:
        """Documents with samples in a version that are not used any more, or not in the split they were in."""
        held = {(member.document_id, member.split) for member in members}
        return {
            key for key, split in held if key not in self.writings or (splits is not None and splits.get(key) != split)
        }

    def described(self, document_ids: Iterable[str]) -> list[dict[str, str]]:
        """Documents with their addresses and versions, for a manifest."""
        found = (self.writings[key] for key in sorted(set(document_ids)) if key in self.writings)
        return [{"document_id": each.document_id, "version_id": each.version_id, "url": each.url} for each in found]


@dataclass(frozen=True)
class Due:
    """What is to be done: make a version because of ``why``, or keep ``newest`` for ``waits``."""

    newest: DatasetVersion | None
    why: str | None
    waits: str = ""


def due(
    twin: Twin,
    newest: DatasetVersion | None,
    made_by: Mapping[str, Any],
    compare: Callable[[Path], Change],
    *,
    asked: bool,
) -> Due:
    """Whether a version is made now.

    Args:
        made_by: generator, code and parameters; where they changed, so does all that is made.
        compare: what changed since the newest version, whose folder it gets.
        asked: a person asked for one.
    """
    if newest is None:
        return Due(None, "it is the first")
    if "erased" in newest.manifest or not twin.artifacts.exists(newest.artifact):
        return Due(newest, "the files of the newest are gone")
    if newest.manifest.get("made_by") != made_by:
        return Due(newest, "it is made in another way")
    rules: DatasetSettings = twin.settings.datasets
    found = compare(twin.artifacts.folder(newest.artifact))
    why = changes.reason_to_make(found, rules)
    if why is None and not asked:
        return Due(newest, None, changes.waiting(found, rules))
    return Due(newest, why or "somebody asked for it")


def of_one_document(samples: Iterable[InstructSample]) -> dict[str, str]:
    """Samples that follow from their own document alone, by id, with its id; none that repeats another."""
    alone = (each for each in samples if each.kind not in (ANSWER, SILENCE) and not each.paraphrase_of)
    return {each.id: each.document_id for each in alone}


def of_one_question(queries: Iterable[Query]) -> dict[str, str]:
    """Questions by what they ask, with the ids of their documents."""
    return {content_id(each.document_id, each.kind, each.text): each.document_id for each in queries}


def store(twin: Twin, kind: str, dataset_id: str, write: Callable[[Path], None]) -> str:
    """Write a version's files and return their address; does nothing where the version is already stored."""
    known = twin.datasets.get(dataset_id)
    if known and twin.artifacts.exists(known.artifact):
        return known.artifact
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return twin.artifacts.put(f"datasets/{kind}", Path(folder))


def write_instruct(
    folder: Path,
    *,
    dataset: InstructDataset,
    name: str,
    facts: Mapping[str, Any],
    made_by: Mapping[str, Any],
    works: Works,
) -> None:
    """The files of an instruct dataset: its splits, manifest, plots and card."""
    files.write_instruct(folder, dataset)
    plot(dataset.samples, {key: each.published_at for key, each in works.writings.items()}, folder)
    instruct_card(dataset, name, facts).write(folder)
    splits = {sample.document_id: sample.split for sample in dataset.samples}
    documents = [{**each, "split": splits[each["document_id"]]} for each in works.described(splits)]
    counts = Counter(sample.split for sample in dataset.samples)
    files.write_manifest(
        folder,
        {
            "version": dataset.id,
            "kind": "instruct",
            "author": dataset.author_id,
            "made_by": dict(made_by),
            "splits": {split: counts[split] for split in files.SPLITS},
            "dropped": dict(dataset.dropped),
            "documents": documents,
            **reviewed.described(dataset.samples, dataset.dropped),
        },
    )


def instruct_card(dataset: InstructDataset, name: str, facts: Mapping[str, Any]) -> Card:
    """The card of an instruct dataset."""
    written = any(sample.kind == QUESTION for sample in dataset.samples)
    but = f" but to those of the kind `{QUESTION}`, which a language model answered from one passage" if written else ""
    by = Counter(sample.reviewed_by for sample in dataset.samples if sample.reviewed_by)
    if by:
        edited = ", ".join(f"{count} by {who}" for who, count in sorted(by.items()))
        but += f"; {by.total()} were edited in review ({edited}), each still supported by its passage"
    return Card(
        f"Instruct dataset of {name}",
        f"Instruction and answer pairs. Every answer is {name}'s own published text, word for word{but}. Answers from "
        "passages carry the number of their passage behind each sentence; where the passage that answers is not among "
        "those shown, the answer is that nothing was written.",
        facts,
        {split: f"{split}.parquet" for split in files.SPLITS if dataset.split(split)},
        len(dataset.samples),
        dataset.dropped,
        examples(dataset.samples),
        PLOTS,
    )
