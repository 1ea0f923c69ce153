"""Dataset versions: what changed between them, reviewing one, writing one for other programs, and where samples come
from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_serving.cli.context import AsJson, Author, author_of, load_settings, look_in_each, open_database
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json, print_table, shorten

if TYPE_CHECKING:
    from twin_resources.exporting.comparison import ChangedSample
    from twin_resources.storage.datasets import Datasets, DatasetVersion
    from twin_resources.storage.inventory.datasets import Described


def datasets(author: Author = None, as_json: AsJson = False) -> None:
    """List dataset versions, the newest first."""
    from twin_resources.database.shards import rows_of_each
    from twin_resources.storage.inventory.datasets import Catalogue

    settings = load_settings()
    chosen = author_of(settings, author).id if author else None
    _, engine = open_database(settings)
    found = rows_of_each(settings, lambda: Catalogue(engine).all(chosen))
    found.sort(key=lambda each: each.created_at, reverse=True)
    if as_json:
        print_json([_shown(version) for version in found])
        return
    if not found:
        typer.echo("no dataset version yet; `twin run` builds them")
        return
    rows = [
        (
            version.id,
            version.author,
            version.kind,
            f"{version.created_at:%Y-%m-%d %H:%M}",
            _counts(version.splits),
            version.documents,
            _counts(version.dropped),
        )
        for version in found
    ]
    print_table("", ("version", "author", "kind", "created", "samples", "documents", "left out"), rows)


def _shown(version: Described) -> dict[str, Any]:
    """A version as the API shows it, too."""
    return {**asdict(version), "samples": version.samples}


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


def diff(
    dataset_a: Annotated[str, typer.Argument(help="The earlier version, or the first digits of its id.")],
    dataset_b: Annotated[str, typer.Argument(help="The later version.")],
    samples: Annotated[bool, typer.Option("--samples", help="Show each sample that changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """What changed between two dataset versions: samples added, removed and changed, by document."""
    from twin_resources.exporting.comparison import between
    from twin_resources.storage.artifacts import ArtifactStore
    from twin_resources.storage.datasets import Datasets
    from twin_resources.storage.inventory.datasets import Catalogue

    settings = load_settings()
    _, engine = open_database(settings)
    catalogue, artifacts = Datasets(engine), ArtifactStore.of(settings)
    before, after = look_in_each(settings, lambda: (_version(catalogue, dataset_a), _version(catalogue, dataset_b)))
    found = between(catalogue, artifacts, before, after)
    changed, unchanged = found.changed, len(found.documents) - len(found.changed)
    if as_json:
        described = {name: Catalogue(engine).get(each.id) for name, each in (("before", before), ("after", after))}
        shown = [{**asdict(each), "samples": [_both(sample) for sample in each.samples]} for each in changed]
        sides = {name: _shown(each) for name, each in described.items()}
        print_json({**sides, "documents": shown, "unchanged": unchanged, "manifest": found.manifest})
        return
    if before.kind != after.kind or before.author != after.author:
        typer.echo(f"note: {before.kind} of {before.author} against {after.kind} of {after.author}", err=True)
    typer.echo(f"{before.id} ({before.created_at:%Y-%m-%d %H:%M}) → {after.id} ({after.created_at:%Y-%m-%d %H:%M})")
    if changed:
        rows = [(each.change, each.added, each.removed, each.changed, each.same, each.url) for each in changed]
        print_table("", ("document", "samples +", "samples −", "changed", "same", "url"), rows)
    else:
        typer.echo("the same samples of the same documents")
    if samples:
        rows = [(sample.change, *_words(sample), each.url) for each in changed for sample in each.samples]
        print_table("samples", ("sample", "asked", "before", "after", "url"), rows)
    typer.echo(f"{unchanged} documents did not change")
    if found.manifest:
        shown = [(key, shorten(pair[0]), shorten(pair[1])) for key, pair in found.manifest.items()]
        print_table("manifest", ("entry", "before", "after"), shown)


def _version(catalogue: Datasets, wanted: str) -> DatasetVersion:
    found = catalogue.get(wanted)
    if found is None:
        raise CommandError(f"no one dataset version starts with {wanted!r}; `twin datasets` lists them")
    return found


def _both(sample: ChangedSample) -> dict[str, Any]:
    return {"change": sample.change, **asdict(sample)}


def _words(sample: ChangedSample) -> tuple[str, str, str]:
    """What a sample asks, and its answer before and after."""
    sides = (sample.before, sample.after)
    asked = next((side.asked for side in reversed(sides) if side), "")
    before, after = (shorten(" ".join(side.answer.split())) if side else "" for side in sides)
    return shorten(" ".join(asked.split())), before, after


def export(
    version: Annotated[str, typer.Argument(help="A dataset version, or the first digits of its id.")],
    out: Annotated[Path, typer.Option(help="The folder to write; it may not hold anything yet.")],
    format_: Annotated[str, typer.Option("--format", help="alpaca, sharegpt, chatml, dpo, or hf.")] = "hf",
    push: Annotated[
        str | None, typer.Option(metavar="REPO", help="Also upload it to this repository of the Hub; needs HF_TOKEN.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="With --push: a repository that everybody sees.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a dataset version for other programs: one JSONL file a split, or a folder that `load_dataset` opens."""
    from twin_resources.exporting import export as exporting
    from twin_resources.storage.artifacts import ArtifactStore
    from twin_resources.storage.datasets import Datasets

    token = os.environ.get("HF_TOKEN", "")
    if push and not token:
        raise CommandError("--push needs a token of the Hub in HF_TOKEN; nothing was written or sent")
    settings = load_settings()
    _, engine = open_database(settings)
    found = look_in_each(settings, lambda: _version(Datasets(engine), version))
    names = {author.id: author.name for author in settings.authors}
    name = names.get(found.author, found.author)
    done = exporting.export(found, ArtifactStore.of(settings), format_, out, author=name)
    pushed = exporting.push(out, push, token, private=not public) if push else None
    if as_json:
        print_json({"version": found.id, "folder": str(done.folder), "rows": done.rows, "pushed": pushed})
        return
    for file, count in done.rows.items():
        typer.echo(f"{done.folder / file}: {count} rows")
    if pushed:
        typer.echo(f"pushed to {pushed}")
    typer.echo("this is a copy: what is forgotten later has to be deleted there by you")


def lineage(
    what: Annotated[str, typer.Argument(metavar="URL|SAMPLE|TRACE", help="A document, a sample, or an answer.")],
    as_json: AsJson = False,
) -> None:
    """From a document to its samples and adapters, and from a sample or an answer back to documents."""
    from twin_resources.storage import lineage as records
    from twin_resources.text.urls import canonical_url

    settings = load_settings()
    _, engine = open_database(settings)

    def look() -> dict[str, Any]:
        if "://" in what:
            return records.of_url(engine, canonical_url(what))
        with contextlib.suppress(records.LineageError):
            return records.of_sample(engine, what)
        try:
            return records.of_trace(engine, what)
        except records.LineageError:
            raise CommandError(f"{what!r} is no URL, no sample of a dataset, and no trace of an answer") from None

    found = look_in_each(settings, look)
    if as_json:
        print_json(found)
    elif "documents" in found:
        for document in found["documents"]:
            _show_document(document)
    else:
        _show_passages(found)


def _show_document(found: Mapping[str, Any]) -> None:
    typer.echo(
        f"{found['url']} ({found['author']}): {len(found['versions'])} versions, {len(found['chunks'])} passages"
    )
    rows = [
        (each["dataset_id"], each["split"], each["sample_id"], each["chunk_id"], each["version_id"])
        for each in found["samples"]
    ]
    print_table("samples", ("dataset", "split", "sample", "passage", "document version"), rows)
    adapters = [(each["version"], each["dataset_id"], each["retired_because"]) for each in found["adapters"]]
    print_table("adapters trained on it", ("adapter", "dataset", "retired because"), adapters)


def _show_passages(found: Mapping[str, Any]) -> None:
    if "datasets" in found:
        rows = [
            (each["id"], each["kind"], each["split"], f"{each['created_at']:%Y-%m-%d}") for each in found["datasets"]
        ]
        print_table("in datasets", ("version", "kind", "split", "created"), rows)
    else:
        typer.echo(f"{found['author']}: {shorten(found['query'])}")
    rows = [
        (each["chunk_id"], f"{each['start']}–{each['end']}", each["document_id"], each["version_id"], each["url"])
        for each in found["passages"]
    ]
    print_table("made of", ("passage", "characters", "document", "document version", "url"), rows)


def review(author: Author = None, as_json: AsJson = False) -> None:
    """How far the review of the newest dataset version is, and the page where it goes on."""
    from twin_resources.reviewing.queue import ReviewQueue, next_version
    from twin_resources.storage.artifacts import ArtifactStore

    settings = load_settings()
    chosen = author_of(settings, author)
    _, engine = open_database(settings)
    found = ReviewQueue(engine, ArtifactStore.of(settings)).progress(chosen.id)
    page = f"http://{settings.host}:{settings.api_port}/review"
    if as_json:
        print_json({"author": chosen.id, "page": page, "reviewed": found.reviewed, **asdict(found)})
        return
    if not found.total:
        typer.echo(f"{chosen.id} has no dataset version to review; `twin run` makes one")
        return
    counts = ", ".join(f"{count} {state}" for state, count in found.states.items())
    typer.echo(f"{found.reviewed} of {found.total} samples of {chosen.id} are reviewed: {counts}")
    if found.waiting:
        typer.echo(f"{found.waiting} decisions wait for the next version: {next_version(chosen.id)}")
    typer.echo(f"the page, while `twin up` runs: {page}")
