"""Reading every source of one platform: what each gave, and which could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from twin_resources.config.settings import AuthorSettings, Settings
from twin_resources.errors import SourceError
from twin_resources.sources.base import Source
from twin_resources.sources.opener import SourceOpener
from twin_resources.sources.registry import registry
from twin_resources.storage.collector import CollectReport
from twin_resources.storage.sources import LOCATION_GONE
from twin_resources.storage.warehouse import Warehouse


@dataclass(frozen=True)
class Unread:
    """A source that could not be read, or not to its end; ``told`` says that the last reading said the same."""

    source: str
    reason: str
    told: bool = False

    def __str__(self) -> str:
        return self.reason if self.source in self.reason else f"{self.source}: {self.reason}"


@dataclass
class PlatformReading:
    """What came of the sources of a platform; what one of them gave counts whether or not another failed."""

    reports: list[CollectReport] = field(default_factory=list)
    failed: list[Unread] = field(default_factory=list)
    left: list[Unread] = field(default_factory=list)
    """Imports whose file is not there any more; their documents are kept."""
    gone: int = 0
    """Documents of sources that were taken out of twin.yaml."""


def read_platform(
    warehouse: Warehouse,
    settings: Settings,
    author: AuthorSettings,
    platform: str,
    *,
    accept_removals: bool = False,
    say: Callable[[str], None] = print,
) -> PlatformReading:
    """Read the sources of ``twin.yaml``, then the imported ones, each into the warehouse.

    A source that fails keeps what it gave before, and is recorded with the reason.
    """
    found = PlatformReading()
    opener = SourceOpener.of(settings)
    since = warehouse.sources.now()
    named: list[str] = []
    unopened = False
    for source_id, opened in _sources(warehouse, opener, author, platform):
        if isinstance(opened, SourceError):
            unopened = unopened or not source_id
            found.failed.append(Unread(source_id, str(opened)))
            continue
        named.append(source_id)
        name = f"{opened.kind} {opened.location}"
        if not opened.is_there() and warehouse.sources.is_remembered(source_id):
            found.left.append(
                Unread(name, LOCATION_GONE, not warehouse.sources.record_failure(source_id, LOCATION_GONE))
            )
            continue
        try:
            report = warehouse.read(
                opener,
                author.id,
                source_id,
                opened,
                accept_removals=accept_removals,
                progress=lambda count, name=name: say(f"{name}: {count} items read"),
            )
        except SourceError as error:
            told = not warehouse.sources.record_failure(source_id, str(error))
            found.failed.append(Unread(name, str(error), told))
        else:
            found.reports.append(report)
            say(f"{name}: {_said(report)}")
    if platform != "api" and not unopened:  # a source that could not even be opened was not taken out
        found.gone = warehouse.sources.drop_unnamed(author.id, platform, named=named, since=since)
    return found


def _sources(
    warehouse: Warehouse, opener: SourceOpener, author: AuthorSettings, platform: str
) -> Iterator[tuple[str, Source | SourceError]]:
    """Sources of one platform as (id, opened source): those of ``twin.yaml`` first, then the imported ones. One that
    cannot be opened comes with the reason, and with an empty id where it stands in ``twin.yaml``."""
    named = set()
    for entry in author.sources:
        if registry()[entry.kind].platform != platform:
            continue
        try:
            opened = opener.entry(author.author, entry)
        except SourceError as error:
            yield "", error
        else:
            source_id = warehouse.remember_source(author.id, opened, entry.options, remembered=False)
            named.add(source_id)
            yield source_id, opened
    for known in warehouse.sources.remembered(author.id, platform):
        if known.kind == "api" or known.id in named:
            continue
        try:
            yield known.id, opener.open(author.author, known.kind, known.location, known.options)
        except SourceError as error:
            yield known.id, error


def unopened(settings: Settings, author: AuthorSettings, platform: str) -> list[str]:
    """What is wrong with the entries of a platform in ``twin.yaml`` that cannot even be opened."""
    opener = SourceOpener.of(settings)
    found = []
    for entry in author.sources:
        if registry()[entry.kind].platform == platform:
            try:
                opener.entry(author.author, entry)
            except SourceError as error:
                found.append(str(error))
    return found


def _said(report: CollectReport) -> str:
    """A reading in a line for the terminal."""
    row = report.as_dict()
    counts = ("found", "new", "changed", "unchanged", "gone", "quarantined", "requests")
    parts = [f"{row[name]} {name}" for name in counts if row[name] or name in ("found", "new")]
    return f"{', '.join(parts)}, {report.seconds:.1f} s"
