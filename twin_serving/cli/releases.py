"""Trained adapters: which there are, and who lets one serve."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from twin_serving.cli.context import AsJson, Author, author_of, current_user, load_settings, open_database
from twin_serving.cli.output import print_json, print_table


def candidates(author: Author = None, as_json: AsJson = False) -> None:
    """List trained adapters: what they scored, whether the gate let them through, and which one serves."""
    from twin_resources.storage.releases import Releases

    settings = load_settings()
    chosen = settings.author(author).id if author else None
    _, engine = open_database(settings)
    found = Releases(engine).list(chosen)
    if as_json:
        print_json([{**asdict(release), "passed": release.passed} for release in found])
        return
    if not found:
        typer.echo("no adapter yet; `twin run` trains one")
        return
    rows = []
    for release in found:
        failed = ", ".join(release.gate.get("failed", ()))
        gate = "passed" if release.passed else f"failed: {failed}" if failed else "not evaluated"
        losses = [release.metrics.get(name) for name in ("validation_loss", "validation_loss_base")]
        state = f"retired: {release.retired_because}" if release.retired_because else ", ".join(release.aliases)
        created = f"{release.created_at:%Y-%m-%d %H:%M}"
        shown = [f"{loss:.3f}" if isinstance(loss, float) else "" for loss in losses]
        rows.append((release.version, release.author, release.kind, created, *shown, gate, state))
    print_table("", ("version", "author", "kind", "created", "loss", "of the base", "gate", "state"), rows)


def approve(
    version: Annotated[str, typer.Argument(help="As `twin candidates` shows it.")],
    by: Annotated[str | None, typer.Option(help="Who approves; you by default.")] = None,
    comment: Annotated[str, typer.Option(help="Kept with the approval.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let a version that passed the gate serve; the one before it is kept for a rollback."""
    from twin_resources.storage.releases import Releases

    _, engine = open_database(load_settings())
    found = Releases(engine).approve(version, by=by or current_user(), comment=comment)
    print_json(asdict(found)) if as_json else typer.echo(f"{found.version} now serves {found.author}")


def rollback(
    author: Author = None,
    by: Annotated[str | None, typer.Option(help="Who decides; you by default.")] = None,
    comment: Annotated[str, typer.Option(help="Kept with the decision.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put the champion before this one back."""
    from twin_resources.storage.releases import Releases

    settings = load_settings()
    chosen = author_of(settings, author)
    _, engine = open_database(settings)
    found = Releases(engine).rollback(chosen.id, by=by or current_user(), comment=comment)
    print_json(asdict(found)) if as_json else typer.echo(f"{found.version} serves {found.author} again")
