"""The ``twin`` command.

Commands import what they need when they run, so ``twin --help`` answers at once. Whatever needs Dagster runs as a
process (``python -m twin_assets.run``). Errors are one line on standard error with exit code 1; ``TWIN_DEBUG=1`` shows
where they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from twin_serving.cli import (
    asking,
    checking,
    datasets,
    forgetting,
    keys,
    pipelines,
    releases,
    servers,
    setup,
    status,
)
from twin_serving.cli.context import close_databases
from twin_serving.cli.errors import report


class _Commands(TyperGroup):
    """Turns errors of every command into one line; usage errors keep Typer's own words and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, TyperException):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except Exception as error:
            report(error)
        finally:
            close_databases()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


app = typer.Typer(
    name="twin",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An LLM that learns to write and answer like one author, from that author's own published work.",
)

COMMANDS: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("init", setup.init, "--id me --name 'Ada Lovelace' --source medium_export:exports/medium.zip"),
    ("quickstart", setup.quickstart, ""),
    ("up", servers.up, "--api-only"),
    ("stop", servers.stop, ""),
    ("run", pipelines.run, "--author me --select 'raw/*'"),
    ("import", pipelines.import_, "exports/medium.zip --author me"),
    ("sources", pipelines.sources, "--drop exports/medium.zip"),
    ("status", status.status, "--json"),
    ("alerts", status.alerts, "--acknowledge 7"),
    ("login", setup.login, "medium"),
    ("datasets", datasets.datasets, "--json"),
    ("diff", datasets.diff, "3f2c9a 81b0de --samples"),
    ("check-dataset", checking.check_dataset, "train.jsonl test.jsonl --sources articles/ --report quality.html"),
    ("export", datasets.export, "3f2c9a --format chatml --out exports/3f2c9a"),
    ("review", datasets.review, "--author me"),
    ("lineage", datasets.lineage, "https://medium.com/@me/a-post-0123456789ab"),
    ("forget", forgetting.forget, "https://medium.com/@me/a-post-0123456789ab --retire"),
    ("clean", forgetting.clean, "--dry-run"),
    ("search", asking.search, "'why hybrid search' -k 3 --category articles"),
    ("ask", asking.ask, "'How do you chunk articles?'"),
    ("verify", asking.verify, "answer.json --key mJk…="),
    ("score", asking.score, "draft.md --author me"),
    ("tune", pipelines.tune, "--trials 20 --author me"),
    ("estimate", releases.estimate, "--preset 7b"),
    ("candidates", releases.candidates, "--author me"),
    ("compare", releases.compare, "me-3f2c9a me-81b0de"),
    ("approve", releases.approve, "me-3f2c9a --comment 'reads like me'"),
    ("export-model", releases.export_model, "me-3f2c9a --out exports/me-3f2c9a"),
    ("canary", releases.canary, "me-3f2c9a --share 0.1"),
    ("reject", releases.reject, "me-3f2c9a --comment 'answers in lists'"),
    ("rollback", releases.rollback, "--author me --comment 'too short answers'"),
    ("backup", setup.backup, "backups/today"),
    ("restore", setup.restore, "backups/today --into ../restored"),
    ("move", setup.move, "me --to two"),
    ("doctor", setup.doctor, ""),
)
"""Every command in the order of ``twin --help``: its name, its function, and arguments as an example."""

HIDDEN: tuple[tuple[str, Callable[..., None]], ...] = (
    ("main", servers.main_flow),
    ("serve", servers.serve),
    ("serve-api", servers.serve_api),
    ("serve-engine", servers.serve_engine),
    ("release-database", servers.release_database),
)
"""What `make run`, containers and our own processes call."""

for _name, _function, _example in COMMANDS:
    _cls = checking.Listed if _function is checking.check_dataset else None
    app.command(_name, cls=_cls, epilog=f"Example: twin {_name} {_example}".rstrip())(_function)
for _name, _function in HIDDEN:
    app.command(_name, hidden=True)(_function)
app.add_typer(keys.app, name="keys", epilog="Example: twin keys create website --kind reader --author me")


def main() -> None:
    """Entry point of the ``twin`` script."""
    app(prog_name="twin")


if __name__ == "__main__":
    main()
