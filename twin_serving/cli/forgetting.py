"""Forgetting a document and what was made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_serving.cli.context import AsJson, Author, current_user, load_settings, look_in_each, open_database
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json

if TYPE_CHECKING:
    import sqlalchemy as sa

    from twin_resources.forgetting.forget import Forgotten


def forget(
    what: Annotated[str | None, typer.Argument(metavar="URL|DOCUMENT_ID", help="The document to forget.")] = None,
    author: Author = None,
    source: Annotated[
        str | None, typer.Option(metavar="ID|LOCATION", help="Forget every document of a source instead.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Forget all of --author: documents, datasets, adapters, questions.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    retire: Annotated[bool, typer.Option("--retire", help="Also retire the adapters trained on it.")] = False,
    why: Annotated[str, typer.Option(help="Kept with the id of the document.")] = "",
    as_json: AsJson = False,
) -> None:
    """Delete a document, a source or an author and everything made from it; a document is never collected again."""
    from twin_resources.database.shards import speak_of
    from twin_resources.forgetting.forget import Forgetting

    if sum((what is not None, source is not None, everything)) != 1:
        raise typer.BadParameter("name one thing to forget: a document, --source, or --author with --everything")
    if everything and author is None:
        raise typer.BadParameter("say whose with --author", param_hint="--everything")
    settings = load_settings()
    _, engine = open_database(settings)
    if author is not None:
        speak_of(author)
    forgetting = Forgetting(settings, engine)
    reason = why or f"asked by {current_user()} with `twin forget`"
    if everything:
        assert author is not None
        _agree(f"Forget everything of {author} for good?", yes=yes, as_json=as_json)
        _report(engine, forgetting.author(author), f"everything of {author}", as_json=as_json)
    elif source is not None:
        from twin_resources.storage.warehouse import Warehouse
        from twin_serving.cli.pipelines import known_source

        known = look_in_each(settings, lambda: known_source(Warehouse(engine), author, source))
        _agree(f"Forget all documents of {known.kind} {known.location} for good?", yes=yes, as_json=as_json)
        done = forgetting.source(known.author, known.id, reason, retire=retire)
        _report(engine, done, f"{known.kind} {known.location}", as_json=as_json)
    else:
        chosen = settings.author(author).id if author else None
        found = look_in_each(settings, lambda: _document(engine, what or "", chosen))
        if not as_json:
            _describe(found, [each for each in found["adapters"] if each["retired_because"] is None], retire=retire)
        _agree("Forget it for good?", yes=yes, as_json=as_json)
        done = forgetting.documents(found["author"], [found["id"]], reason, retire=retire)
        _report(engine, done, found["url"], as_json=as_json)


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    days: Annotated[int, typer.Option(min=0, help="How old it has to be.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Delete what nothing refers to any more: artifacts without a row, abandoned trainings, old log messages."""
    from datetime import timedelta

    from twin_resources.forgetting.garbage import collect_garbage

    settings = load_settings()
    _, engine = open_database(settings)
    found = collect_garbage(settings, engine, grace=timedelta(days=days), dry=dry_run)
    if as_json:
        print_json(asdict(found))
        return
    for name in (*found.artifacts, *found.folders):
        typer.echo(f"  {name}")
    word = "would be deleted" if dry_run else "deleted"
    counted = f"{len(found.artifacts)} artifacts, {len(found.folders)} folders, {found.events} log messages"
    typer.echo(f"{counted}, {found.answers} kept answers {word}")


def _agree(question: str, *, yes: bool, as_json: bool) -> None:
    if yes:
        return
    try:
        agreed = not as_json and typer.confirm(question)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise CommandError("nothing was deleted; --yes deletes without asking")


def _report(engine: sa.Engine, done: Forgotten, name: str, *, as_json: bool) -> None:
    from twin_resources.forgetting.forget import OUT_OF_REACH
    from twin_resources.storage.releases import Releases

    champion = Releases(engine).alias(done.author, "champion")
    if as_json:
        print_json({**asdict(done), "champion": champion and champion.version, "out_of_reach": OUT_OF_REACH})
        return
    erased = done.erased
    typer.echo(f"forgotten: {name}")
    typer.echo(
        f"  {len(done.documents)} documents, {erased.vectors} vectors, {erased.interactions} questions, "
        f"{erased.reports} reports, files of {len(erased.datasets)} datasets; {done.events} records of Dagster emptied"
    )
    typer.echo(f"  {OUT_OF_REACH}")
    if done.retired:
        typer.echo(f"retired: {', '.join(done.retired)}")
        if champion is None:
            typer.echo("no champion is left: the base model answers until `twin run` trains another")
    elif done.adapters:
        typer.echo(f"trained on it: {', '.join(done.adapters)}; these still carry it, `twin run` trains one without it")
    typer.echo("next: `twin run`, which builds datasets and reports without it, or nothing where the daemon runs")


def _describe(found: dict[str, Any], trained: Sequence[dict[str, Any]], *, retire: bool) -> None:
    """What would go with a document, and what stays."""
    typer.echo(f"{found['url']} of {found['author']} ({found['platform']}, {found['category']})")
    for copy in found["copies"]:
        typer.echo(f"  its copy {copy['url']} goes with it")
    typer.echo(f"  {len(found['versions'])} versions, {len(found['chunks'])} passages leave the index at once")
    typer.echo(f"  {len({entry['id'] for entry in found['datasets']})} dataset versions hold samples of it")
    for adapter in trained:
        aliases = f" ({', '.join(adapter['aliases'])})" if adapter["aliases"] else ""
        fate = "will be retired" if retire else "stays in use; --retire takes it out"
        typer.echo(f"  adapter {adapter['version']}{aliases} was trained on it and {fate}")


def _document(engine: sa.Engine, what: str, author: str | None) -> dict[str, Any]:
    """Everything known of one document, by URL or id."""
    from twin_resources.storage import lineage
    from twin_resources.storage.documents import Documents
    from twin_resources.text.urls import canonical_url, has_scheme

    if has_scheme(what):
        try:
            url = canonical_url(what)
        except ValueError as error:
            raise CommandError(str(error)) from None
        wanted = None
    else:
        wanted, url = what, Documents(engine).url(what)
        if url is None:
            raise CommandError(
                f"no document has the id {what!r}; give its URL, or an id that `twin search --json` shows"
            )
    documents = [
        found
        for found in lineage.of_url(engine, url)["documents"]
        if (wanted is None or found["id"] == wanted) and author in (None, found["author"])
    ]
    if not documents:
        raise CommandError(f"author {author!r} has no document {url}")
    if len(documents) > 1:
        authors = ", ".join(found["author"] for found in documents)
        raise CommandError(f"{url} belongs to several authors ({authors}); say which with --author")
    return documents[0]
