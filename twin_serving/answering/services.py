"""What the calls are made of: database, search and engine, which come up behind a server that already answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from threadpoolctl import threadpool_limits

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.generation.base import Generator
from twin_resources.rag.pipeline import Rag
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.reranker import Reranker
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.interactions import Interactions
from twin_resources.storage.releases import Releases
from twin_resources.storage.warehouse import Warehouse
from twin_serving.answering.engine import Engine, make_generator
from twin_serving.answering.intake import Intake
from twin_serving.answering.metrics import Monitor
from twin_serving.api.problems import Problem, not_ready

log = logging.getLogger(__name__)

_RETRY_SECONDS = 3.0
_STALE = timedelta(minutes=3)


class Services:
    """Everything behind the routes. :meth:`start` returns at once; what is not there yet raises a 503.

    Args:
        make: makes the generator; None serves search without an engine.
    """

    def __init__(
        self,
        settings: Settings,
        make: Callable[[Settings], Generator] | None = make_generator,
        *,
        poll_seconds: float = 2.0,
    ) -> None:
        self.settings = settings
        self.monitor = Monitor()
        self._make = make
        self._poll_seconds = poll_seconds
        self._databases: postgres.Databases | None = None
        self._database: sa.Engine | None = None
        self._rag: Rag | None = None
        self._engine: Engine | None = None
        self._why = {"database": "starting", "embedder": "the embedding model is loading"}
        self._head: str | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._come_up, name="services", daemon=True)

    def start(self) -> None:
        """Bring everything up in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the engine and wait for the threads."""
        self._stopped.set()
        if self._engine:
            self._engine.stop()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _come_up(self) -> None:
        self._until_done("database", self._open_database)
        self._until_done("embedder", self._open_search)
        if self._engine and not self._stopped.is_set():
            self._engine.start()
        while not self._stopped.wait(_RETRY_SECONDS):
            if not postgres.running(self.settings):
                log.error("the embedded Postgres is gone; starting it again")
                self._until_done("database", self._start_database)

    def _start_database(self) -> None:
        postgres.databases(self.settings)

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
        found = postgres.prepare(self.settings)
        engine = postgres.engine(found)
        self._databases = found
        self._engine = Engine(
            self.settings,
            Releases(engine),
            ArtifactStore.of(self.settings),
            self._make,
            poll_seconds=self._poll_seconds,
        )
        self._database = engine

    def _open_search(self) -> None:
        assert self._database is not None
        embedder = Embedder.of(self.settings)
        embedder.encode_questions(["warm up"])
        # Search multiplies small matrices; a second BLAS thread would only wait for a core that torch or Postgres has.
        threadpool_limits(1, user_api="blas")
        self._rag = Rag(self.settings, self._database, embedder, Reranker.of(self.settings))

    @property
    def database(self) -> sa.Engine:
        """The database.

        Raises:
            Problem: 503 while it is not reachable.
        """
        if self._database is None:
            raise not_ready("the database is not ready", self._why.get("database", "starting"))
        return self._database

    @property
    def rag(self) -> Rag:
        """Search.

        Raises:
            Problem: 503 while the embedding model loads.
        """
        if self._rag is None:
            _ = self.database
            raise not_ready("search is not ready", self._why.get("embedder", "starting"))
        return self._rag

    @property
    def engine(self) -> Engine:
        """The engine, which may itself still be loading.

        Raises:
            Problem: 503 while the database is not reachable.
        """
        _ = self.database
        assert self._engine is not None
        return self._engine

    @property
    def interactions(self) -> Interactions:
        """Questions, answers and ratings."""
        return Interactions(self.database)

    @property
    def releases(self) -> Releases:
        """Versions and aliases."""
        return Releases(self.database)

    @property
    def intake(self) -> Intake:
        """The way in for documents."""
        return Intake(Warehouse(self.database), self.settings)

    def author(self, author_id: str | None) -> str:
        """The id of a configured author; None means the only one.

        Raises:
            Problem: 404 where there is no such author, 422 where one of several has to be named.
        """
        known = [author.id for author in self.settings.authors]
        if author_id is None and len(known) == 1:
            return known[0]
        if author_id is None:
            raise Problem(422, "author-needed", f"Name one of the authors: {', '.join(known) or 'none is configured'}.")
        if author_id not in known:
            raise Problem(
                404, "unknown-author", f"There is no author {author_id!r}; there are: {', '.join(known) or 'none'}."
            )
        return author_id

    def readiness(self) -> dict[str, Any]:
        """The state of every part, each with its reason; ``ready`` means that searches are answered."""
        components = {
            "database": self._database_reason(),
            "migrations": self._migrations_reason(),
            "embedder": None if self._rag else self._why.get("embedder", "waits for the database"),
            "generator": self._engine.unready() if self._engine else "waits for the database",
        }
        parts = {name: {"ready": reason is None, "reason": reason} for name, reason in components.items()}
        ready = all(parts[name]["ready"] for name in ("database", "migrations", "embedder"))
        return {
            "ready": ready,
            "can_answer": ready and parts["generator"]["ready"],
            "components": parts,
            "champions": self._engine.champions() if self._engine else {},
            "warnings": self._warnings(),
        }

    def _database_reason(self) -> str | None:
        if self._database is None:
            return self._why.get("database", "starting")
        try:
            with self._database.connect() as session:
                session.execute(sa.text("SELECT 1"))
        except SQLAlchemyError as error:
            return f"it does not answer: {_first_line(error)}"
        return None

    def _migrations_reason(self) -> str | None:
        if self._database is None:
            return "waits for the database"
        from alembic.config import Config
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        try:
            if self._head is None:
                config = Config()
                config.set_main_option("script_location", str(postgres.MIGRATIONS))
                self._head = ScriptDirectory.from_config(config).get_current_head()
            with self._database.connect() as session:
                current = MigrationContext.configure(session).get_current_revision()
        except SQLAlchemyError as error:
            return f"the database does not answer: {_first_line(error)}"
        if current != self._head:
            return f"the schema is at {current}, this version needs {self._head}; start the API again to migrate"
        return None

    def _warnings(self) -> list[str]:
        found = []
        if self._databases and (problem := self._daemon_problem(self._databases)):
            found.append(problem)
        if self._engine:
            for author, state in self._engine.champions().items():
                if state["problem"]:
                    found.append(f"the champion of {author} is not served: {state['problem']}")
        return found

    def _daemon_problem(self, databases: postgres.Databases) -> str | None:
        """Dagster's daemon says that it lives in its own database; without it, runs stay queued for ever."""
        remedy = "runs that are queued will not start; `twin up` starts it"
        try:
            url = databases.dagster.set(drivername="postgresql").render_as_string(hide_password=False)
            with psycopg.connect(url, connect_timeout=2) as session:
                row = session.execute("SELECT max(timestamp) FROM daemon_heartbeats").fetchone()
        except psycopg.errors.UndefinedTable:
            return f"Dagster's daemon has never run: {remedy}"
        except psycopg.Error as error:
            return f"Dagster's database cannot be read: {_first_line(error)}"
        last = row[0] if row else None
        if last is None:
            return f"Dagster's daemon has never run: {remedy}"
        age = datetime.now(UTC) - last.replace(tzinfo=UTC)
        if age > _STALE:
            return f"Dagster's daemon was last alive {int(age.total_seconds() // 60)} minutes ago: {remedy}"
        return None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
