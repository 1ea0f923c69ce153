"""Dagster resources: what assets get handed."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence

import dagster as dg
import sqlalchemy as sa
from pydantic import PrivateAttr

from twin_resources.config.settings import AuthorSettings, Settings, SettingsError, load
from twin_resources.database import postgres
from twin_resources.database.locks import Locks
from twin_resources.database.postgres import Address
from twin_resources.database.shards import author_engine, main_of, prepare
from twin_resources.features import FeatureStore
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.runtime.tracking import Tracking
from twin_resources.storage.alerts import Alerts
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.calls.blind_tests import BlindTests
from twin_resources.storage.calls.interactions import Interactions
from twin_resources.storage.calls.shadows import Shadows
from twin_resources.storage.calls.usage import Usage
from twin_resources.storage.datasets import Datasets, DatasetVersion, Places
from twin_resources.storage.releases import Releases
from twin_resources.storage.reports import Reports
from twin_resources.storage.samples.responses import Responses
from twin_resources.storage.samples.reviews import Reviews
from twin_resources.storage.training.searches import Searches
from twin_resources.storage.warehouse import Warehouse
from twin_resources.text.identity import content_id

_PARTITION = "dagster/partition"
STARTED_BY = "twin/started_by"
"""The tag of a run that says which command started it."""
ASKED = "twin/asked"
"""The tag of a run in which a person asked for the very assets that it makes."""
AUTOMATIC = "automation"
"""What :data:`STARTED_BY` says of the runs of the automation sensors."""


class Twin(dg.ConfigurableResource):
    """Everything an asset reads and writes, opened on first use from ``twin.yaml`` and the environment."""

    config: str = ""
    _author: str | None = PrivateAttr(None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Know whose run this is, so that it opens the database where that author lives."""
        self._author = context.run.tags.get(_PARTITION) if context.run else None

    def of(self, author_id: str) -> Twin:
        """The same for one author, for what looks at all of them."""
        if not self.settings.shards:
            return self
        found = Twin(config=self.config)
        found._author = author_id
        return found

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings as they stand at the start of the run.

        ``config`` is for code that makes its own ``Twin``. The configuration of a run could set it too and so name
        another interpreter, so where ``TWIN_CONFIG`` is set, as in every process of ``twin up``, that one holds.
        """
        return load(os.environ.get("TWIN_CONFIG") or self.config or None)

    @functools.cached_property
    def engine(self) -> sa.Engine:
        """The database of the author whose run this is, migrated."""
        main = _engine_of(self.settings)
        return author_engine(self.settings, self._author) if self.settings.shards else main

    def author(self, author_id: str) -> AuthorSettings:
        """An author of ``twin.yaml``.

        Raises:
            SettingsError: no author of this id is configured.
        """
        return self.settings.author(author_id)

    def record_author(self, author_id: str) -> AuthorSettings:
        """An author of ``twin.yaml``, with name and consent recorded before anything of theirs is stored.

        Raises:
            SettingsError: no author of this id is configured.
        """
        found = self.settings.author(author_id)
        self.warehouse.record_author(found)
        return found

    def raw_version(self, author_id: str, origin: str) -> str:
        """Content hash of a raw asset: its documents, and what twin.yaml says that decides which of them are used (what
        the author overrides, and under which other names they write)."""
        held = self.warehouse.raw_hash(author_id, origin)
        author = self.settings.author(author_id)
        said = [entry.model_dump_json(exclude_unset=True) for entry in author.override]
        if author.author.aliases:
            said.append(content_id("aliases", *sorted(author.author.aliases)))
        return content_id("raw", held, *said) if said else held

    @contextlib.contextmanager
    def turn(self, context: dg.AssetExecutionContext, locks: Sequence[str]) -> Iterator[None]:
        """Hold one of these locks; while all are taken, the log of the run says who holds it back, and since when."""
        who = f"{context.run.tags.get(STARTED_BY, 'run')} {context.run_id[:8]}"
        with Locks(main_of(self.engine)).hold(locks, who, context.log.info):
            yield

    @property
    def warehouse(self) -> Warehouse:
        """Documents, clean documents and chunks."""
        return Warehouse(self.engine)

    @property
    def vectors(self) -> VectorIndex:
        """The vector index of the configured embedding model."""
        return VectorIndex(self.engine, self.settings.models.embedding)

    @property
    def artifacts(self) -> ArtifactStore:
        """Datasets, adapters and reports."""
        return ArtifactStore.of(self.settings)

    @property
    def datasets(self) -> Datasets:
        """The catalogue of dataset versions."""
        return Datasets(self.engine)

    @property
    def places(self) -> Places:
        """Where documents stand among test, validation and training."""
        return Places(self.engine)

    @property
    def responses(self) -> Responses:
        """What a language model wrote for datasets."""
        return Responses(self.engine)

    @property
    def reviews(self) -> Reviews:
        """What people decided on samples."""
        return Reviews(self.engine)

    def training_dataset(self, author_id: str) -> DatasetVersion | None:
        """The instruct dataset that an author's adapter is trained on: the newest, or the one that
        ``training.dataset`` names, where that is a version of this author; None where there is none.

        Raises:
            SettingsError: ``training.dataset`` names no one instruct dataset.
        """
        wanted = self.settings.training.dataset
        named = self.datasets.get(wanted) if wanted else None
        if wanted and (named is None or named.kind != "instruct"):
            raise SettingsError(f"training.dataset: {wanted!r} names no one instruct dataset; see `twin datasets`")
        return named if named and named.author == author_id else self.datasets.newest(author_id, "instruct")

    @property
    def features(self) -> FeatureStore:
        """What training and evaluation read."""
        return FeatureStore(self.engine, self.artifacts)

    @property
    def releases(self) -> Releases:
        """Candidates and champions."""
        return Releases(self.engine)

    @property
    def searches(self) -> Searches:
        """Searches for hyper-parameters, and what they found."""
        return Searches(self.engine)

    @property
    def alerts(self) -> Alerts:
        """What is wrong, and who knows."""
        return Alerts(main_of(self.engine))

    @property
    def reports(self) -> Reports:
        """Figures that were measured."""
        return Reports(self.engine)

    @property
    def interactions(self) -> Interactions:
        """What serving reported."""
        return Interactions(self.engine)

    @property
    def shadows(self) -> Shadows:
        """Questions that readers asked, and what candidates answer to them."""
        return Shadows(self.engine)

    @property
    def usage(self) -> Usage:
        """How calls went."""
        return Usage(self.engine)

    @property
    def blind_tests(self) -> BlindTests:
        """What readers answered in blind tests."""
        return BlindTests(self.engine)

    @property
    def tracking(self) -> Tracking:
        """MLflow."""
        return Tracking(self.settings)


_ENGINES: dict[tuple[tuple[str, Address], ...], sa.Engine] = {}


def _engine_of(settings: Settings) -> sa.Engine:
    key = tuple(sorted(settings.addresses.items()))
    if key not in _ENGINES or not postgres.running(settings.postgres):
        _ENGINES[key] = postgres.engine(prepare(settings))
    return _ENGINES[key]
