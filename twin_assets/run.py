"""Materialises the graph for one author in the foreground, with progress: ``python -m twin_assets.run``.

Needs no daemon and no server. Every asset leaves alone what did not change, so running it again is cheap.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import dagster as dg
from dagster import DagsterEventType
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from twin_assets import keys
from twin_assets.definitions import defs
from twin_assets.partitions import AUTHORS
from twin_resources.config.settings import SettingsError, load
from twin_resources.runtime.presence import announced, is_announced
from twin_resources.runtime.resources import ASKED, STARTED_BY, Twin

_REPORTED = frozenset({keys.SERVING, keys.INTERACTIONS, keys.BLIND_TESTS})
_LOOKS_EVERY = 0.5
"""Seconds between two looks at the events of a run."""
_WHEN_NAMED = frozenset({keys.SEARCH})
"""What takes long and changes nothing by itself is made only where the selection names it."""


@dataclass(frozen=True)
class Wanted:
    """What is materialised, whether a source that suddenly has much less is believed, whether a person named the
    assets, so that dataset versions are made however little changed, and how many trials a search makes."""

    selection: dg.AssetSelection
    accept_removals: bool
    asked: bool
    trials: int | None = None


@dataclass
class Progress:
    """What the run's events say so far."""

    total: int
    started: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """What the run said, that :meth:`news` has not told yet."""
    line: str = ""
    """The last thing it said."""
    blocked: bool = False
    """A blocking check failed."""
    unread: bool = False
    """A source could not be read; what was built rests on what it gave before."""
    success: bool = False

    def read(self, entry: dg.EventLogEntry) -> None:
        """Take in one event."""
        event = entry.dagster_event
        if event is None:
            if int(entry.level) >= logging.INFO and entry.user_message:
                self.line = entry.user_message.splitlines()[0][:110]
                self.lines.append(self.line)
            return
        step = event.step_key or ""
        if event.event_type is DagsterEventType.STEP_START:
            self.started[step] = entry.timestamp
        elif event.event_type is DagsterEventType.STEP_SUCCESS:
            self.seconds[step] = entry.timestamp - self.started.get(step, entry.timestamp)
        elif event.event_type is DagsterEventType.STEP_FAILURE:
            self.seconds[step] = entry.timestamp - self.started.get(step, entry.timestamp)
            error = event.step_failure_data.error
            while error and error.cause:
                error = error.cause
            user = event.step_failure_data.user_failure_data
            text = (user and user.description) or (error and error.message) or event.message or "failed"
            self.failed[step] = text.strip()
        elif event.event_type is DagsterEventType.STEP_SKIPPED:
            self.skipped.append(step)
        elif event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            self.facts[step] = _fact(made)
        elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if not found.passed:
                self.blocked = self.blocked or bool(found.blocking)
                self.unread = self.unread or found.check_name == "every_source_was_read"
                why = f": {found.description}" if found.description else ""
                self.checks.append(f"{found.asset_key.to_user_string()} {found.check_name}{why}")

    def news(self) -> list[str]:
        """What the run said since this was last asked."""
        told, self.lines = self.lines, []
        return told


def _fact(made: dg.AssetMaterialization) -> str:
    """The few figures of a materialisation that fit behind its name."""
    shown = []
    for name in (
        "new",
        "changed",
        "unchanged",
        "gone",
        "quarantined",
        "cleaned_now",
        "passages_added",
        "embedded_now",
        "dagster/row_count",
        "train",
        "test",
        "version",
        "waiting",
        "trained_now",
        "trials_made",
        "validation_loss",
        "gain_over_base",
        "ndcg_at_10_hybrid",
        "passed",
        "champion",
        "waiting_for_approval",
    ):
        value = made.metadata.get(name)
        if value is not None and value.value not in (0, "nothing", False):
            label = "rows" if name == "dagster/row_count" else name.replace("_", " ")
            shown.append(f"{label} {value.value}")
    return ", ".join(shown)


def main(arguments: list[str] | None = None) -> int:
    """Run and return 0 where everything that was selected succeeded."""
    parser = argparse.ArgumentParser(prog="twin run", description=__doc__)
    parser.add_argument("--author", help="id of the author in twin.yaml; all of them without it")
    parser.add_argument(
        "--select", default="*", help="Dagster asset selection, for example 'group:dataset' or '+key:\"a/b\"'"
    )
    parser.add_argument("--accept-removals", action="store_true", help="let documents go that sources no longer have")
    parser.add_argument("--trials", type=int, help="how many trials a search for hyper-parameters makes")
    chosen = parser.parse_args(arguments)
    console = Console(stderr=False, highlight=False)
    try:
        settings = load()
        authors = [settings.author(chosen.author)] if chosen.author else list(settings.authors)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    if not authors:
        print("twin.yaml names no author; add one under `authors:`", file=sys.stderr)
        return 1
    left_out = _REPORTED | {key for key in _WHEN_NAMED if key.to_user_string() not in chosen.select}
    selection = dg.AssetSelection.from_string(chosen.select) - dg.AssetSelection.assets(*left_out)
    asked = chosen.select != "*"
    wanted = Wanted(selection, accept_removals=chosen.accept_removals, asked=asked, trials=chosen.trials)
    with dg.DagsterInstance.get() if os.environ.get("DAGSTER_HOME") else dg.DagsterInstance.ephemeral() as instance:
        for author in authors:  # any part of the graph may be asked for before anything was collected
            Twin().of(author.id).record_author(author.id)
        instance.add_dynamic_partitions(AUTHORS.name or "", [author.id for author in authors])
        _close_killed_runs(instance)
        try:
            outcomes = [_author(console, instance, author.id, wanted) for author in authors]
        except KeyboardInterrupt:
            console.print("stopped; the next run goes on from what is stored")
            return 130
    return 0 if all(outcomes) else 1


def _close_killed_runs(instance: dg.DagsterInstance) -> None:
    """End runs of this command whose process is gone: Dagster would show them as running, and count them, for ever."""
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], tags={STARTED_BY: "twin run"})
    for run in instance.get_runs(unfinished):
        if not is_announced(Twin().engine, run.run_id):
            instance.report_run_failed(run, "the process of this run was killed")


def _author(console: Console, instance: dg.DagsterInstance, author_id: str, wanted: Wanted) -> bool:
    """Run a selection; where nothing but sources failed, go on without them, with what they gave before."""
    progress = _run(console, instance, author_id, wanted)
    if progress.success:
        return not progress.unread
    sources_only = progress.failed and all(_is_raw(step) for step in progress.failed)
    if sources_only and len(progress.seconds) < progress.total and not progress.blocked:
        names = ", ".join(_name(step) for step in progress.failed)
        console.print(f"[bold]{author_id}[/]: going on without {names}, with what was collected before")
        _run(
            console,
            instance,
            author_id,
            replace(wanted, selection=wanted.selection - dg.AssetSelection.assets(*keys.RAW)),
        )
    return False


def _run(console: Console, instance: dg.DagsterInstance, author_id: str, wanted: Wanted) -> Progress:
    """Materialise a selection in a thread of its own, and show how far it is until it ends."""
    job = dg.define_asset_job("twin_run", selection=wanted.selection, executor_def=dg.in_process_executor)
    resolved = dg.Definitions(
        assets=defs.assets,
        asset_checks=defs.asset_checks,
        jobs=[job],
        resources=defs.resources,
        loggers={"console": _quiet},
    ).resolve_job_def("twin_run")
    progress = Progress(len(resolved.graph.node_dict))
    run_id = str(uuid.uuid4())

    def work() -> None:
        progress.success = _execute(resolved, instance, author_id, run_id, wanted)

    started = time.monotonic()
    thread = threading.Thread(target=work, name=f"run {author_id}", daemon=True)
    console.print(f"[bold]{author_id}[/]: materialising {progress.total} steps")
    thread.start()
    _follow(console, instance, run_id, progress, thread)
    for check in progress.checks:
        console.print(f"  [yellow]check[/]  {escape(check)}", soft_wrap=True)
    for step, why in progress.failed.items():
        console.print(f"  [red]failed[/] {_name(step)}: {escape(why)}", soft_wrap=True)
    for step in progress.skipped:
        if not step.endswith("_check") and "_" in step:
            console.print(f"  [dim]skipped[/] {_name(step)}")
    word = "[green]done[/]" if progress.success else "[red]failed[/]"
    console.print(f"[bold]{author_id}[/]: {word} in {time.monotonic() - started:.1f} s")
    return progress


def _execute(job: dg.JobDefinition, instance: dg.DagsterInstance, author_id: str, run_id: str, wanted: Wanted) -> bool:
    """Run a job in this process; returns whether all of it succeeded."""
    config: dict = {"loggers": {"console": {}}}
    if wanted.accept_removals:
        names = [node for node in job.graph.node_dict if _is_raw(node)]
        config["ops"] = {name: {"config": {"accept_removals": True}} for name in names}
    if wanted.trials is not None:
        config["ops"] = {"__".join(keys.SEARCH.path): {"config": {"trials": wanted.trials}}}
    tags = {"author": author_id, STARTED_BY: "twin run", **({ASKED: "true"} if wanted.asked else {})}
    alive = announced(Twin().engine, run_id) if instance.is_persistent else contextlib.nullcontext()
    with warnings.catch_warnings(), alive:
        warnings.simplefilter("ignore")
        return job.execute_in_process(
            instance=instance,
            partition_key=author_id,
            run_id=run_id,
            run_config=config,
            raise_on_error=False,
            tags=tags,
        ).success


def _follow(
    console: Console, instance: dg.DagsterInstance, run_id: str, progress: Progress, thread: threading.Thread
) -> None:
    """Show a run's events as they come, until its thread ends."""
    started = time.monotonic()
    cursor = None
    printed: set[str] = set()
    recorded = False
    with _cancelled_on_interrupt(instance, run_id), Live(console=console, refresh_per_second=4, transient=True) as live:
        while True:
            alive = thread.is_alive()
            recorded = recorded or instance.has_run(run_id)
            if recorded:
                page = instance.get_records_for_run(run_id, cursor=cursor)
                cursor = page.cursor
                for record in page.records:
                    progress.read(record.event_log_entry)
            for step in list(progress.seconds):
                if step not in printed and (step in progress.facts or step in progress.failed):
                    printed.add(step)
                    console.print(_done(progress, step), soft_wrap=True)
            if console.is_terminal:
                live.update(_status(progress, time.monotonic() - started))
            else:
                for said in progress.news():
                    console.print(f"    {said}", markup=False, soft_wrap=True)
            if not alive:
                break
            thread.join(_LOOKS_EVERY)


@contextlib.contextmanager
def _cancelled_on_interrupt(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """On Ctrl-C, say in Dagster that the run was cancelled; its jobs end with this process."""
    try:
        yield
    except KeyboardInterrupt:
        run = instance.get_run_by_id(run_id)
        if run and not run.is_finished:
            instance.report_run_canceled(run, "stopped with Ctrl-C")
        raise


@dg.logger
def _quiet(_context: dg.InitLoggerContext) -> logging.Logger:
    """The event log has everything and the terminal shows the progress, so nothing else is printed."""
    silent = logging.Logger("twin_run")
    silent.addHandler(logging.NullHandler())
    return silent


def _is_raw(node: str) -> bool:
    return node in {"__".join(key.path) for key in keys.RAW}


def _name(step: str) -> str:
    return step.replace("__", "/")


def _done(progress: Progress, step: str) -> str:
    mark = "[red]✗[/]" if step in progress.failed else "[green]✓[/]"
    fact = progress.facts.get(step, "")
    return f"  {mark} {_name(step):<22} {progress.seconds[step]:6.1f} s  [dim]{fact}[/]"


def _status(progress: Progress, seconds: float) -> Table:
    grid = Table.grid(padding=(0, 1))
    running = [step for step in progress.started if step not in progress.seconds]
    done = len(progress.seconds)
    grid.add_row(f"  {done}/{progress.total}", f"{seconds:.0f} s", ", ".join(_name(step) for step in running))
    if progress.line:
        grid.add_row("", "", f"[dim]{progress.line}[/]")
    return grid


if __name__ == "__main__":
    sys.exit(main())
