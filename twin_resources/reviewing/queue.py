"""The samples of the newest instruct dataset of an author as a person goes through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
import sqlalchemy as sa

from twin_resources.errors import TwinError
from twin_resources.exporting.rows import FILES
from twin_resources.quality.samples import Flag
from twin_resources.reviewing import edits
from twin_resources.reviewing.edits import Edit
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.chunk_store import ChunkStore
from twin_resources.storage.datasets import Datasets, DatasetVersion
from twin_resources.storage.samples.reviews import Review, Reviews, ReviewVerdict

KIND = "instruct"
PAGE = 50
FLAGGED = "flagged"
"""As a check: whatever check has something against a sample."""
State = Literal["unreviewed", "accepted", "rejected", "edited"]
STATES: tuple[State, ...] = ("unreviewed", "accepted", "rejected", "edited")


def next_version(author_id: str) -> str:
    """The command that makes a version with what was decided."""
    return f"twin run --author {author_id} --select 'datasets/instruct'"


class ReviewError(TwinError):
    """There is no such sample to review."""


class EditError(TwinError):
    """An edit has no text."""


@dataclass(frozen=True)
class Wanted:
    """Which samples are shown; empty strings for all. ``after`` is the id of the last sample that was shown."""

    split: str = ""
    kind: str = ""
    check: str = ""
    state: str = ""
    after: str = ""


@dataclass(frozen=True)
class ShownPassage:
    """A passage that a sample shows; ``right`` is the one its answer was made of."""

    title: str
    text: str
    right: bool


@dataclass(frozen=True)
class ShownTurn:
    """An earlier turn that a sample goes on from."""

    instruction: str
    answer: str


@dataclass(frozen=True)
class ShownSample:
    """A sample beside the passage it was made of (``source``), with what checks and people say of it.

    ``history`` are the turns it goes on from, the first one first, and ``paraphrase_of`` names the sample that it
    repeats in other words. ``reasons`` say why its edit is not taken. ``waits`` is whether the next version differs
    from what is shown.
    """

    id: str
    split: str
    category: str
    kind: str
    instruction: str
    answer: str
    passages: tuple[ShownPassage, ...]
    document_id: str
    url: str
    source: str
    flags: tuple[Flag, ...]
    state: State
    review: Review | None
    reasons: tuple[str, ...]
    waits: bool
    history: tuple[ShownTurn, ...] = ()
    paraphrase_of: str = ""


@dataclass(frozen=True)
class Progress:
    """How many samples of the newest version there are in each state, and how many decisions ``wait`` for the next."""

    total: int
    states: Mapping[State, int]
    waiting: int

    @property
    def reviewed(self) -> int:
        """Samples that somebody decided on."""
        return self.total - self.states["unreviewed"]


@dataclass(frozen=True)
class Queue:
    """One page of samples; ``kinds`` and ``checks`` count what there is to filter by, ``matching`` what the filter
    lets through. ``version`` is None where there is no dataset, or its files are gone."""

    version: DatasetVersion | None
    progress: Progress
    kinds: Mapping[str, int]
    checks: Mapping[str, int]
    matching: int
    samples: Sequence[ShownSample]
    more: bool


@dataclass(frozen=True)
class _Entry:
    """A sample of a version as far as it is filtered by; ``generated_id`` is what reviews are kept under."""

    id: str
    generated_id: str
    kind: str
    split: str


class ReviewQueue:
    """Reads samples from the files of the newest version, and writes reviews."""

    def __init__(self, engine: sa.Engine, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts
        self._datasets = Datasets(engine)
        self._chunks = ChunkStore(engine)
        self._reviews = Reviews(engine)

    def page(self, author_id: str, wanted: Wanted, size: int = PAGE) -> Queue:
        """The next ``size`` samples, in the order of the dataset."""
        version, entries = self._newest(author_id)
        decided = _Decided(self._reviews.of(author_id))
        flags = _flags(version)
        start = next((place for place, each in enumerate(entries, 1) if each.id == wanted.after), 0)
        matching = [_matches(each, wanted, flags, decided) for each in entries]
        left = [each for each, matches in zip(entries[start:], matching[start:], strict=True) if matches]
        chosen = left[:size]
        counted = Counter(check for found in flags.values() for check in {flag.check for flag in found})
        return Queue(
            version=version,
            progress=_progress(entries, decided),
            kinds=Counter(each.kind for each in entries),
            checks=counted,
            matching=sum(matching),
            samples=list(self._shown(author_id, version, chosen, decided)) if version else [],
            more=len(left) > size,
        )

    def progress(self, author_id: str) -> Progress:
        """How far the review of the newest version is."""
        _, entries = self._newest(author_id)
        return _progress(entries, _Decided(self._reviews.of(author_id)))

    def decide(
        self, author_id: str, sample_id: str, *, verdict: State, by: str, answer: str | None = None
    ) -> ShownSample:
        """Keep what a person decided on a sample of the newest version, and show it as it stands now.

        To accept a sample that stands there edited keeps the edit; ``unreviewed`` takes the decision back.

        Raises:
            ReviewError: the newest version has no such sample.
            EditError: an edit has no text.
        """
        version, entries = self._newest(author_id)
        entry = next((each for each in entries if each.id == sample_id), None)
        if version is None or entry is None:
            raise ReviewError(
                f"the newest dataset version has no sample {sample_id[:40]}", "read /review/samples again"
            )
        if verdict == "edited" and not (answer or "").strip():
            raise EditError("an edit needs the text of the answer", "send `answer`, or reject the sample")
        row = next(self._rows(version, [entry]))
        text = answer.strip() if answer and verdict == "edited" else None
        if verdict == "unreviewed":
            self._reviews.undo(author_id, entry.generated_id)
        else:
            self._keep(author_id, entry, row, verdict=verdict, by=by, answer=text)
        return next(self._shown(author_id, version, [entry], _Decided(self._reviews.of(author_id))))

    def _keep(
        self,
        author_id: str,
        entry: _Entry,
        row: Mapping[str, Any],
        *,
        verdict: ReviewVerdict,
        by: str,
        answer: str | None,
    ) -> None:
        """Keep a decision; to find that what stands there is right is to accept it, as it was generated or edited."""
        if verdict == "accepted" or answer == row["answer"]:
            edited = entry.id != entry.generated_id
            before = self._reviews.of(author_id).get(entry.generated_id)
            if edited and before and before.edited_id == entry.id:
                return
            verdict, answer = ("edited", row["answer"]) if edited else ("accepted", None)
        kept = self._reviews.decide(
            author_id, row["document_id"], entry.generated_id, verdict=verdict, by=by, answer=answer
        )
        if not kept:
            raise ReviewError("the document of this sample has been forgotten", "read /review/samples again")

    def _newest(self, author_id: str) -> tuple[DatasetVersion | None, Sequence[_Entry]]:
        version = self._datasets.newest(author_id, KIND)
        if version is None or not self._artifacts.exists(version.artifact):
            return None, ()
        return version, _entries(self._artifacts.folder(version.artifact))

    def _rows(self, version: DatasetVersion, entries: Sequence[_Entry]) -> Iterator[dict[str, Any]]:
        """Whole rows of some samples, in the order of these."""
        folder = self._artifacts.folder(version.artifact)
        found: dict[str, dict[str, Any]] = {}
        for split in {each.split for each in entries}:
            ids = [each.id for each in entries if each.split == split]
            rows = pq.read_table(folder / FILES[KIND][split], filters=[("id", "in", ids)]).to_pylist()
            found.update((row["id"], {**row, "split": split}) for row in rows)
        return (found[each.id] for each in entries)

    def _shown(
        self, author_id: str, version: DatasetVersion, entries: Sequence[_Entry], decided: _Decided
    ) -> Iterator[ShownSample]:
        if not entries:
            return
        rows = list(self._rows(version, entries))
        sources = self._chunks.texts({row["chunk_ids"][0] for row in rows}, author_id)
        flags = _flags(version)
        for row, entry in zip(rows, entries, strict=True):
            source = sources.get(row["chunk_ids"][0], "")
            review = decided.of(entry)
            edit = _edit(row, review, source)
            yield ShownSample(
                **{name: row[name] for name in _COPIED},
                passages=tuple(
                    ShownPassage(each["title"], each["text"], each["chunk_id"] == row["chunk_ids"][0])
                    for each in row["passages"]
                ),
                source=source,
                flags=tuple(flags.get(row["id"], ())),
                state=decided.state(entry),
                review=review,
                reasons=tuple(flag.reason for flag in edits.against(edit)) if edit else (),
                waits=decided.waits(entry),
                history=tuple(ShownTurn(each["instruction"], each["answer"]) for each in row.get("history") or ()),
                paraphrase_of=row.get("paraphrase_of") or "",
            )


_COPIED = ("id", "split", "category", "kind", "instruction", "answer", "document_id", "url")


class _Decided:
    """Reviews of samples, whether they stand in a version as they were generated or as somebody edited them."""

    def __init__(self, reviews: Mapping[str, Review]) -> None:
        self._reviews = reviews

    def of(self, entry: _Entry) -> Review | None:
        """The review of a sample."""
        return self._reviews.get(entry.generated_id)

    def state(self, entry: _Entry) -> State:
        """What was decided."""
        found = self.of(entry)
        return found.verdict if found else "unreviewed"

    def waits(self, entry: _Entry) -> bool:
        """Whether the next version holds something else, or nothing, in place of what stands there."""
        found = self.of(entry)
        if found and found.verdict == "rejected":
            return True
        return ((found and found.edited_id) or entry.generated_id) != entry.id


def _edit(row: Mapping[str, Any], review: Review | None, source: str) -> Edit | None:
    """What a review makes of a sample, as it is checked; None where nothing was edited."""
    if review is None or review.answer is None:
        return None
    shown = {each["chunk_id"]: each["text"] for each in row["passages"]}
    return Edit.of(row["instruction"], review.answer, source, shown, row["chunk_ids"][0])


@lru_cache(maxsize=4)
def _entries(folder: Path) -> Sequence[_Entry]:
    """The samples of a version, which never changes."""
    found: list[_Entry] = []
    for split, name in FILES[KIND].items():
        there = set(pq.read_schema(folder / name).names)
        rows = pq.read_table(folder / name, columns=sorted(there & {"id", "generated_id", "kind"})).to_pylist()
        found += (_Entry(row["id"], row.get("generated_id") or row["id"], row["kind"], split) for row in rows)
    return found


def _flags(version: DatasetVersion | None) -> Mapping[str, list[Flag]]:
    """What the checks have against samples, as they were written down with the version."""
    found: dict[str, list[Flag]] = {}
    for each in version.manifest.get("flags", ()) if version else ():
        found.setdefault(each["sample"], []).append(Flag(0, each["check"], each["reason"]))
    return found


def _matches(entry: _Entry, wanted: Wanted, flags: Mapping[str, Sequence[Flag]], decided: _Decided) -> bool:
    checks = {flag.check for flag in flags.get(entry.id, ())}
    return (
        wanted.split in ("", entry.split)
        and wanted.kind in ("", entry.kind)
        and wanted.state in ("", decided.state(entry))
        and (not wanted.check or wanted.check in checks or (wanted.check == FLAGGED and bool(checks)))
    )


def _progress(entries: Sequence[_Entry], decided: _Decided) -> Progress:
    counts = Counter(decided.state(each) for each in entries)
    waiting = sum(decided.waits(each) for each in entries)
    return Progress(len(entries), {state: counts[state] for state in STATES}, waiting)
