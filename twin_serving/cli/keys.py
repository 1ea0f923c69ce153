"""API keys: make, list and revoke them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from twin_serving.cli.context import AsJson, load_settings, open_database
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json, print_table, say

app = typer.Typer(no_args_is_help=True, help="API keys: who may call what, for which authors.")


@app.command(epilog="Example: twin keys create website --kind reader --author me")
def create(
    name: Annotated[str, typer.Argument(help="Whom or what it is for.")],
    kind: Annotated[str, typer.Option(help="reader, author (adds, forgets, approves too) or admin.")] = "reader",
    author: Annotated[
        list[str] | None, typer.Option("--author", "-a", help="For whose twin; give it again for more.")
    ] = None,
    calls: Annotated[
        int | None, typer.Option("--calls-a-minute", min=1, help="How often it may call each replica of the API.")
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option("--tokens-a-day", min=0, help="What models may read and write for it; quotations take none."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once."""
    from twin_resources.storage.keys import KINDS, ApiKeys, Kind

    settings = load_settings()
    chosen: Kind | None = next((each for each in KINDS if each == kind), None)
    if chosen is None:
        raise CommandError(f"no kind {kind!r}; kinds are: {', '.join(KINDS)}")
    authors = [settings.author(each).id for each in author or ()]
    _, engine = open_database(settings)
    made, secret = ApiKeys(engine).create(name, chosen, authors, calls_a_minute=calls, tokens_a_day=tokens)
    if as_json:
        print_json({**asdict(made), "key": secret})
        return
    typer.echo(secret)
    say(f"key {made.id} of {made.name}: {made.kind} for {', '.join(made.authors) or 'all authors'}. It is not stored;")
    say("keep it now. From now on the API, Dagster and MLflow answer nobody without a key.")


@app.command("list", epilog="Example: twin keys list --json")
def list_(as_json: AsJson = False) -> None:
    """Show every key, its secret excepted."""
    from twin_resources.storage.keys import ApiKeys

    _, engine = open_database(load_settings())
    found = ApiKeys(engine).list()
    if as_json:
        print_json([asdict(each) for each in found])
        return
    rows = [
        (
            each.id,
            each.name,
            each.kind,
            ", ".join(each.authors) or "all",
            f"{each.created_at:%Y-%m-%d %H:%M}",
            f"{each.last_used_at:%Y-%m-%d %H:%M}" if each.last_used_at else "never",
            each.calls_a_minute,
            f"{each.spent:,} of {each.tokens_a_day:,}" if each.tokens_a_day is not None else f"{each.spent:,}",
            f"{each.revoked_at:%Y-%m-%d %H:%M}" if each.revoked_at else None,
        )
        for each in found
    ]
    if not rows:
        typer.echo("no key yet; `twin keys create` makes one")
        return
    print_table(
        "", ("id", "name", "kind", "authors", "created", "last used", "calls a minute", "tokens today", "revoked"), rows
    )


@app.command(epilog="Example: twin keys revoke website")
def revoke(
    key: Annotated[str, typer.Argument(help="Its id or its name.")],
    as_json: AsJson = False,
) -> None:
    """End a key; running servers refuse it within seconds."""
    from twin_resources.storage.keys import ApiKeys

    _, engine = open_database(load_settings())
    ended = ApiKeys(engine).revoke(key)
    print_json(asdict(ended)) if as_json else typer.echo(f"revoked {ended.id} ({ended.name})")
