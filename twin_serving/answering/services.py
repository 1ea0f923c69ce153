"""What the calls are made of: database, search and engine, which come up behind a server that already answers."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from threadpoolctl import threadpool_limits

from twin_resources.alerts.conditions import of_daemon
from twin_resources.alerts.watch import watch
from twin_resources.config.settings import AuthorSettings, Settings
from twin_resources.database import postgres, shards
from twin_resources.database.authors import allow, is_allowed
from twin_resources.database.replica import Replica, ReplicaEngine, replica_of
from twin_resources.generation.base import Generator
from twin_resources.rag.pipeline import Rag
from twin_resources.rag.policy import look
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.reranker import Reranker
from twin_resources.reviewing.queue import ReviewQueue
from twin_resources.runtime.places import RECORDS, SEARCHES, Places
from twin_resources.storage.alerts import Alerts
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.calls.conversations import Conversations
from twin_resources.storage.calls.interactions import Interactions
from twin_resources.storage.calls.usage import Usage
from twin_resources.storage.keys import ApiKeys
from twin_resources.storage.releases import Releases
from twin_resources.storage.warehouse import Warehouse
from twin_resources.style.blind.showings import Showings
from twin_serving.answering.engine import AnswerEngine, make_generator
from twin_serving.answering.errors import AuthorNeeded, NotReady, UnknownAuthor
from twin_serving.answering.intake import Intake
from twin_serving.answering.metrics import Monitor
from twin_serving.answering.readiness import (
    Readiness,
    canary_problems,
    champion_problems,
    daemon_death,
    daemon_problem,
    database_problem,
    engine_problems,
    open_alerts,
    replica_problem,
    schema_problem,
    seen_by,
)
from twin_serving.answering.scoring import Scoring
from twin_serving.answering.signing import Signing
from twin_serving.answering.tracing import traces_of

log = logging.getLogger(__name__)

_FIRST_QUESTION = "What is this about, and how does it work?"
_RETRY_SECONDS = 3.0
_DAEMON_SECONDS = 60.0
_PATIENCE = 2.0
"""Seconds that the first question in another language waits for the vectors of the base model."""
_STATEMENT_SECONDS = 60
"""A reader does not wait longer for one question to the database."""
_ASKED_SECONDS = 3
"""A server that does not say within this long how far it is is not read."""


@dataclass(frozen=True)
class _Opened:
    """What is there once the database is: our engine, the one that the calls use, and the one that they search with."""

    databases: postgres.Databases
    database: sa.Engine
    calls: sa.Engine
    reads: sa.Engine
    engine: AnswerEngine


class Services:
    """Everything behind the calls. :meth:`start` returns at once; what is not there yet raises :class:`NotReady`.

    Args:
        make: makes the generator; None serves search without an engine.
        scoped: whether the calls see only the authors that their context allows
            (:func:`twin_resources.database.authors.allow`); else all.
        embed: gives the embedding model, or who has it.
        settled: called once, when everything that stays has been loaded but the language model.
    """

    def __init__(
        self,
        settings: Settings,
        make: Callable[[Settings], Generator] | None = make_generator,
        *,
        poll_seconds: float = 2.0,
        scoped: bool = False,
        embed: Callable[[Settings], Embedder] = Embedder.of,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._embed = embed
        self._settled = settled
        self._scoped = scoped
        self.monitor = Monitor()
        self.searches = Places("searches", SEARCHES, settings.queue)
        self.records = Places("records", RECORDS)
        self.scoring = Scoring(settings)
        self.signing = Signing(settings)
        self.traces = traces_of(settings)
        self._make = make
        self._poll_seconds = poll_seconds
        self._opened: _Opened | None = None
        self._rag: Rag | None = None
        self._why = {"database": "starting", "embedder": "the embedding model is loading"}
        self._stopped = threading.Event()
        self._daemon_again = time.monotonic() + _DAEMON_SECONDS
        self._thread = threading.Thread(target=self._come_up, name="services", daemon=True)

    def start(self) -> None:
        """Bring everything up in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the engine and wait for the threads."""
        self._stopped.set()
        if self._opened:
            self._opened.engine.stop()
            if state := replica_of(self._opened.reads):
                state.stop()
        if self.traces:
            self.traces.close()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _come_up(self) -> None:
        self._until_done("database", self._open_database)
        self._until_done("embedder", self._open_search)
        if self._opened and not self._stopped.is_set():
            self._opened.engine.start()
            self._ask_once()
            self._settled()
        while not self._stopped.wait(_RETRY_SECONDS):
            if not postgres.running(self.settings.postgres):
                log.error("the embedded Postgres is gone; starting it again")
                self._until_done("database", self._start_database)
            self._look_after_daemon()

    def _ask_once(self) -> None:
        """Look for an answer of each author, so that the first reader does not wait for what is loaded on first use."""
        for author in self.settings.authors:
            if self._stopped.is_set():
                return
            try:
                with (
                    allow([author.id]),
                    shards.about(author.id),
                ):  # what is remembered of an author is read once, and must be all of it
                    look(self.rag, author.id, _FIRST_QUESTION)
            except Exception:  # asked in earnest, it says what is wrong
                log.debug("nothing could be looked up for %s", author.id, exc_info=True)

    def _look_after_daemon(self) -> None:
        """Once a minute, whether the daemon lives; it cannot say itself that it is dead."""
        opened = self._opened
        if opened is None or time.monotonic() < self._daemon_again:
            return
        self._daemon_again = time.monotonic() + _DAEMON_SECONDS
        try:
            found = of_daemon(daemon_death(opened.databases))
            watch(Alerts(opened.database), [found], self.settings.monitoring.alerts)
        except SQLAlchemyError:
            log.exception("whether Dagster's daemon lives could not be kept")

    def _start_database(self) -> None:
        postgres.databases(self.settings.postgres)

    def _until_done(self, component: str, step: Callable[[], None]) -> None:
        while not self._stopped.is_set():
            try:
                step()
                self._why.pop(component, None)
                return
            except Exception as error:
                if self._why.get(component) != str(error):
                    log.error("%s: %s", component, error)
                self._why[component] = str(error)
                self._stopped.wait(_RETRY_SECONDS)

    def _open_database(self) -> None:
        found = shards.prepare(self.settings)
        limited = functools.partial(postgres.engine, statement_seconds=_STATEMENT_SECONDS)
        answering = AnswerEngine(
            self.settings,
            Releases(shards.author_engine(self.settings, open_one=limited)),
            ArtifactStore.of(self.settings),
            self._make,
            poll_seconds=self._poll_seconds,
        )
        seen = postgres.scoped_engine if self._scoped else limited
        calls = shards.author_engine(self.settings, open_one=seen)
        main = self._reading(found, seen(found))

        def reading(there: postgres.Databases) -> sa.Engine:
            return main if there == found else seen(there)

        reads = shards.author_engine(self.settings, open_one=reading, writes=False)
        self._opened = _Opened(found, limited(found), calls, reads, answering)

    def _reading(self, found: postgres.Databases, calls: sa.Engine) -> sa.Engine:
        """What searches read from: the replica while it keeps up, where there is one."""
        follows = postgres.replica_engine(found, scoped=self._scoped, statement_seconds=_STATEMENT_SECONDS)
        asked = postgres.replica_engine(found, scoped=False, statement_seconds=_ASKED_SECONDS)
        if follows is None or asked is None:
            return calls
        primary = postgres.engine(found, statement_seconds=_ASKED_SECONDS)
        state = Replica(primary, asked, self.settings.replica_lag_seconds)
        state.watch()
        return ReplicaEngine(calls, follows, state, self.monitor.read_from)

    def _open_search(self) -> None:
        reads = self.reads
        embedder = self._embed(self.settings)
        embedder.prepare()
        # Search multiplies small matrices; a second BLAS thread would only wait for a core that torch or Postgres has.
        threadpool_limits(1, user_api="blas")
        self._rag = Rag(self.settings, reads, embedder, Reranker.of(self.settings), patience=_PATIENCE)

    def _open(self) -> _Opened:
        if self._opened is None:
            raise NotReady("the database", self._why.get("database", "starting"))
        return self._opened

    @property
    def database(self) -> sa.Engine:
        """The database, as calls see it.

        Raises:
            NotReady: it is not reachable.
        """
        return self._open().calls

    @property
    def directory(self) -> sa.Engine:
        """The main database, as calls see it: what is kept there, whoever it is of.

        Raises:
            NotReady: it is not reachable.
        """
        return shards.main_of(self.database)

    @property
    def reads(self) -> sa.Engine:
        """What passages and documents are read from: a replica where one keeps up, which has what was written a few
        seconds ago; else the database.

        Raises:
            NotReady: the database is not reachable.
        """
        return self._open().reads

    @property
    def keys(self) -> ApiKeys | None:
        """The API keys; None while the database is not reachable."""
        return ApiKeys(self._opened.database) if self._opened else None

    @property
    def authors(self) -> list[AuthorSettings]:
        """The configured authors that this call may know of."""
        return [each for each in self.settings.authors if not self._scoped or is_allowed(each.id)]

    @property
    def rag(self) -> Rag:
        """Search.

        Raises:
            NotReady: the embedding model loads.
        """
        if self._rag is None:
            self._open()
            raise NotReady("search", self._why.get("embedder", "starting"))
        return self._rag

    def foresee(self, author: str | None, query: str) -> None:
        """Have a question that waits for its place embedded together with those before it; see
        :meth:`.Rag.foresee`."""
        if self._rag:
            self._rag.foresee(author or "", query)

    @property
    def engine(self) -> AnswerEngine:
        """The engine, which may itself still be loading.

        Raises:
            NotReady: the database is not reachable.
        """
        return self._open().engine

    @property
    def interactions(self) -> Interactions:
        """Questions, answers and ratings."""
        return Interactions(self.database)

    @property
    def conversations(self) -> Conversations:
        """Answers as they were given, and what they go on from."""
        return Conversations(self.database)

    @property
    def usage(self) -> Usage:
        """How calls went."""
        return Usage(self.database)

    @property
    def alerts(self) -> Alerts:
        """What is wrong."""
        return Alerts(self.directory)

    @property
    def releases(self) -> Releases:
        """Versions and aliases."""
        return Releases(self.database)

    @property
    def blind_tests(self) -> Showings:
        """Pairs of texts that readers tell apart."""
        return Showings(self.database)

    @property
    def reviewing(self) -> ReviewQueue:
        """Samples that people go through."""
        return ReviewQueue(self.database, ArtifactStore.of(self.settings))

    @property
    def intake(self) -> Intake:
        """The way in for documents."""
        return Intake(Warehouse(self.database), self.settings)

    def author(self, author_id: str | None) -> str:
        """The id of a configured author; None means the only one. From here on the call opens the database where they
        live.

        Raises:
            UnknownAuthor: there is no such author.
            AuthorNeeded: one of several has to be named.
        """
        known = [author.id for author in self.authors]
        if author_id is None and len(known) == 1:
            author_id = known[0]
        if author_id is None:
            raise AuthorNeeded(f"Name one of the authors: {', '.join(known) or 'none is configured'}.")
        if author_id not in known:
            raise UnknownAuthor(f"There is no author {author_id!r}; there are: {', '.join(known) or 'none'}.")
        shards.speak_of(author_id)
        return author_id

    def in_each_database(self) -> list[str]:
        """See :func:`.shards.one_of_each`."""
        return shards.one_of_each(self.settings)

    def readiness(self) -> Readiness:
        """The state of every part, each with its reason."""
        opened = self._opened
        if opened is None:
            waits = "waits for the database"
            reasons: dict[str, str | None] = {
                "database": self._why.get("database", "starting"),
                "migrations": waits,
                "embedder": self._why.get("embedder", waits),
                "generator": waits,
            }
            return Readiness.of(reasons, {}, [])
        reasons = {
            "database": database_problem(opened.database),
            "migrations": schema_problem(opened.database),
            "embedder": None if self._rag else self._why.get("embedder", "waits for the database"),
            "generator": opened.engine.unready(),
        }
        known = {each.id for each in self.authors}
        champions = {author: served for author, served in opened.engine.champions().items() if author in known}
        daemon = daemon_problem(opened.databases)
        wrong = [] if reasons["database"] or reasons["migrations"] else open_alerts(Alerts(opened.database), known)
        unserved = [*champion_problems(champions), *canary_problems(champions)]
        unread = replica_problem(opened.reads)
        warnings = [each for each in (daemon, unread) if each]
        engines = seen_by(opened.engine.engines(), known)
        return Readiness.of(reasons, champions, [*warnings, *engine_problems(engines), *unserved, *wrong], engines)
