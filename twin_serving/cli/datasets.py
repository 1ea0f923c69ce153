"""Dataset versions and what changed between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_serving.cli.context import AsJson, Author, load_settings, open_database
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json, print_table, shorten

if TYPE_CHECKING:
    pass


def datasets(author: Author = None, as_json: AsJson = False) -> None:
    """List dataset versions, the newest first."""
    from twin_resources.storage.datasets import Datasets

    settings = load_settings()
    chosen = settings.author(author).id if author else None
    _, engine = open_database(settings)
    found = Datasets(engine).list(chosen)
    if as_json:
        print_json([asdict(version) for version in found])
        return
    if not found:
        typer.echo("no dataset version yet; `twin run` builds them")
        return
    rows = [
        (version.id, version.author, version.kind, f"{version.created_at:%Y-%m-%d %H:%M}", _size(version.manifest))
        for version in found
    ]
    print_table("", ("version", "author", "kind", "created", "samples"), rows)


def _size(manifest: Mapping[str, Any]) -> str:
    """Samples of a dataset as its manifest counts them: by split, by kind, or in all."""
    for key in ("splits", "kinds", "samples", "pairs"):
        value = manifest.get(key)
        if isinstance(value, Mapping):
            return ", ".join(f"{count} {name}" for name, count in value.items())
        if value is not None:
            return str(value)
    return ""


def diff(
    dataset_a: Annotated[str, typer.Argument(help="The earlier version, or the first digits of its id.")],
    dataset_b: Annotated[str, typer.Argument(help="The later version.")],
    as_json: AsJson = False,
) -> None:
    """What changed between two dataset versions, by document."""
    from twin_resources.storage.datasets import Datasets

    settings = load_settings()
    _, engine = open_database(settings)
    catalogue = Datasets(engine)
    versions = []
    for wanted in (dataset_a, dataset_b):
        version = catalogue.get(wanted)
        if version is None:
            raise CommandError(f"no one dataset version starts with {wanted!r}; `twin datasets` lists them")
        versions.append(version)
    before, after = versions
    documents = _compare(catalogue.members(before.id), catalogue.members(after.id))
    settings_changed = {
        key: [before.manifest.get(key), after.manifest.get(key)]
        for key in sorted({*before.manifest, *after.manifest} - {"facts"})  # the card's own words for the rest
        if before.manifest.get(key) != after.manifest.get(key)
    }
    if as_json:
        print_json({"a": before.id, "b": after.id, "documents": documents, "manifest": settings_changed})
        return
    if before.kind != after.kind or before.author != after.author:
        typer.echo(f"note: {before.kind} of {before.author} against {after.kind} of {after.author}", err=True)
    rows = [
        (entry["change"], entry["added"], entry["removed"], entry["same"], entry["url"])
        for entry in documents
        if entry["change"] != "same"
    ]
    typer.echo(f"{before.id} ({before.created_at:%Y-%m-%d %H:%M}) → {after.id} ({after.created_at:%Y-%m-%d %H:%M})")
    if rows:
        print_table("", ("document", "samples +", "samples −", "same", "url"), rows)
    else:
        typer.echo("the same samples of the same documents")
    typer.echo(f"{len(documents) - len(rows)} documents did not change")
    if settings_changed:
        shown = [(key, shorten(pair[0]), shorten(pair[1])) for key, pair in settings_changed.items()]
        print_table("manifest", ("entry", "before", "after"), shown)


def _compare(before: Iterable[Any], after: Iterable[Any]) -> list[dict[str, Any]]:
    """Samples of each document that are in one version only, in the other only, or in both."""
    sides: list[dict[str, set[tuple[str, str]]]] = [{}, {}]
    urls: dict[str, str] = {}
    for side, members in zip(sides, (before, after), strict=True):
        for member in members:
            urls[member.document_id] = member.url
            side.setdefault(member.document_id, set()).add((member.sample_id, member.split))
    found = []
    for key in sorted(urls, key=lambda key: urls[key]):
        old, new = (side.get(key, set()) for side in sides)
        change = "added" if not old else "removed" if not new else "same" if old == new else "changed"
        counts = {"added": len(new - old), "removed": len(old - new), "same": len(old & new)}
        found.append({"document_id": key, "url": urls[key], "change": change, **counts})
    return found
