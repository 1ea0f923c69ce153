"""Forgetting a document and what was made from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_serving.cli.context import AsJson, Author, current_user, load_settings, open_database
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json

if TYPE_CHECKING:
    import sqlalchemy as sa


def forget(
    what: Annotated[str, typer.Argument(metavar="URL|DOCUMENT_ID", help="The document to forget.")],
    author: Author = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    retire: Annotated[bool, typer.Option("--retire", help="Also retire the adapters trained on it.")] = False,
    why: Annotated[str, typer.Option(help="Kept with the id of the document.")] = "",
    as_json: AsJson = False,
) -> None:
    """Delete a document and everything made from it; it is never collected again."""
    from twin_resources.storage import lineage
    from twin_resources.storage.releases import Releases

    settings = load_settings()
    _, engine = open_database(settings)
    found = _document(engine, what, settings.author(author).id if author else None)
    trained = [adapter for adapter in found["adapters"] if adapter["retired_because"] is None]
    if not as_json:
        _describe(found, trained, retire=retire)
    if not yes:
        try:
            agreed = not as_json and typer.confirm("Forget it for good?")
        except typer.Abort:
            agreed = False
        if not agreed:
            raise CommandError("nothing was deleted; --yes deletes without asking")
    reason = why or f"asked by {current_user()} with `twin forget`"
    result = lineage.forget_document(engine, found["id"], reason)
    retired: list[str] = []
    if retire:
        for adapter in trained:
            lineage.retire(engine, adapter["version"], f"trained on {found['url']}, which was forgotten")
            retired.append(adapter["version"])
    champion = Releases(engine).alias(found["author"], "champion")
    if as_json:
        print_json({**result, "retired": retired, "champion": champion.version if champion else None})
        return
    typer.echo(f"forgotten: {result['url']}")
    if retired:
        typer.echo(f"retired: {', '.join(retired)}")
        if champion is None:
            typer.echo("no champion is left: the base model answers until `twin run` trains another")
    elif trained:
        typer.echo("the adapters above still carry it; `twin run` trains one without it")


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
