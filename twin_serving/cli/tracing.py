"""Where something comes from, and where it went: samples, passages, versions, addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from twin_serving.cli.context import AsJson, load_settings, open_database
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json, print_table, shorten


def lineage(
    what: Annotated[str, typer.Argument(metavar="URL|SAMPLE|TRACE", help="A document, a sample, or an answer.")],
    as_json: AsJson = False,
) -> None:
    """From a document to its samples and adapters, and from a sample or an answer back to documents."""
    from twin_resources.storage import lineage as records
    from twin_resources.text.urls import canonical_url

    settings = load_settings()
    _, engine = open_database(settings)
    if "://" in what:
        found = records.of_url(engine, canonical_url(what))
    else:
        try:
            found = records.of_sample(engine, what)
        except records.LineageError:
            try:
                found = records.of_trace(engine, what)
            except records.LineageError:
                raise CommandError(f"{what!r} is no URL, no sample of a dataset, and no trace of an answer") from None
    if as_json:
        print_json(found)
    elif "documents" in found:
        for document in found["documents"]:
            _document(document)
    else:
        _passages(found)


def _document(found: Mapping[str, Any]) -> None:
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


def _passages(found: Mapping[str, Any]) -> None:
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
