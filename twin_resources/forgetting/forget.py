"""Forgetting a document, a source or an author, wherever we keep something of theirs."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.replica import caught_up
from twin_resources.database.schema import adapter, author, dataset_version, document, idempotency, interaction, report
from twin_resources.database.shards import main_of
from twin_resources.errors import TwinError
from twin_resources.forgetting.orchestration import (
    forget_calls,
    forget_sample_texts,
    forget_traces,
    forget_tracking,
    quieten_dagster,
)
from twin_resources.forgetting.rows import Erased, erase, retired_files
from twin_resources.retrieval import bm25
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.storage import lineage
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.calls.conversations import Conversations
from twin_resources.storage.sources import lock_author
from twin_resources.style import profile

log = logging.getLogger(__name__)

OUT_OF_REACH = "back-ups, exports and copies that were made before still hold it; delete or replace those yourself"


class ForgetError(TwinError):
    """Nothing of that is known."""


@dataclass(frozen=True)
class Forgotten:
    """What was forgotten, and what of it went; ``adapters`` were trained on it, ``retired`` are those taken out."""

    author: str
    documents: Sequence[str]
    adapters: Sequence[str]
    retired: Sequence[str]
    erased: Erased
    events: int


class Forgetting:
    """Takes text out of our database, the artifact store, the state folder, and Dagster's and MLflow's records."""

    def __init__(self, settings: Settings, engine: sa.Engine) -> None:
        self.settings = settings
        self.engine = engine
        self.artifacts = ArtifactStore.of(settings)

    def documents(self, author_id: str, document_ids: Sequence[str], why: str, *, retire: bool = False) -> Forgotten:
        """Forget documents with their copies; they are never collected again.

        Raises:
            ForgetError: the author has none of them.
        """
        with self.engine.begin() as session:
            lock_author(session, author_id)
            wanted = [each for key in document_ids for each in lineage.copies(session, key)]
            together = list(dict.fromkeys(wanted))
            known = session.scalars(
                sa.select(document.c.id).where(document.c.author == author_id, document.c.id.in_(together))
            ).all()
            if not known:
                raise ForgetError(
                    f"author {author_id!r} has none of these documents; `twin search` shows those there are"
                )
            trained = [row for row in lineage.adapters_of(session, together) if row["retired_because"] is None]
            lineage.never_again(session, together, why, [row["version"] for row in trained])
            erased = erase(session, author_id, together, TokenCounter.of(self.settings).is_word)
            bm25.refresh(session, author_id)
            versions = [row["version"] for row in trained] if retire else []
            weights, runs = retired_files(session, versions)
        for version in versions:
            lineage.retire(self.engine, version, "trained on a document that was forgotten")
        erased.artifacts += weights
        self._in_main(sa.delete(idempotency).where(idempotency.c.author == author_id))
        events = self._outside(author_id, erased.artifacts, runs)
        return Forgotten(author_id, known, [row["version"] for row in trained], versions, erased, events)

    def document(self, document_id: str, why: str) -> dict[str, Any]:
        """Forget one document, whoever its author is.

        Returns:
            The URL, those of its copies, and the adapters that were trained on any of them, so they can be retired.

        Raises:
            LineageError: there is no such document.
        """
        with self.engine.connect() as session:
            together = lineage.copies(session, document_id)
            query = sa.select(document.c.id, document.c.author, document.c.url).where(document.c.id.in_(together))
            rows = {row.id: row for row in session.execute(query)}
            if document_id not in rows:
                raise lineage.LineageError(f"no document has the id {document_id}")
            trained = lineage.adapters_of(session, together)
        self.documents(rows[document_id].author, [document_id], why)
        return {
            "document_id": document_id,
            "url": rows[document_id].url,
            "copies": [rows[key].url for key in together[1:] if key in rows],
            "adapters": trained,
        }

    def conversation(self, conversation: str) -> int:
        """Forget a conversation: its calls, what readers said of them, and MLflow's copies; returns how many calls.

        Raises:
            UnknownConversation: there is none.
        """
        ended = Conversations(self.engine).end(conversation)
        self._on_replica()
        forget_calls(postgres.databases(self.settings.postgres).mlflow, ended)
        return len(ended)

    def source(self, author_id: str, source_id: str, why: str, *, retire: bool = False) -> Forgotten:
        """Forget every document of a source, and those it had before.

        Raises:
            ForgetError: it holds none.
        """
        with self.engine.connect() as session:
            query = sa.select(document.c.id).where(document.c.author == author_id, document.c.source_id == source_id)
            ids = session.scalars(query).all()
        if not ids:
            raise ForgetError("this source holds no document; `twin sources` lists them")
        return self.documents(author_id, ids, why, retire=retire)

    def author(self, author_id: str) -> Forgotten:
        """Forget an author: every row, every file, every adapter. Whatever still names them collects anew."""
        with self.engine.begin() as session:
            lock_author(session, author_id)
            ids = session.scalars(sa.select(document.c.id).where(document.c.author == author_id)).all()
            versions = session.scalars(sa.select(adapter.c.version).where(adapter.c.author == author_id)).all()
            weights, runs = retired_files(session, versions)
            held = [
                address
                for table in (dataset_version, report)
                for address in session.scalars(sa.select(table.c.artifact).where(table.c.author == author_id))
                if address
            ]
            erased = erase(session, author_id, ids, lambda word: True) if ids else Erased()
            erased.interactions += session.execute(
                sa.delete(interaction).where(interaction.c.author == author_id)
            ).rowcount
            session.execute(sa.delete(adapter).where(adapter.c.author == author_id))
            session.execute(sa.delete(author).where(author.c.id == author_id))
        self._in_main(sa.delete(author).where(author.c.id == author_id))
        erased.artifacts = list(dict.fromkeys([*erased.artifacts, *held, *weights]))
        events = self._outside(author_id, erased.artifacts, runs)
        return Forgotten(author_id, ids, versions, versions, erased, events)

    def _outside(self, author_id: str, addresses: Sequence[str], runs: Sequence[str]) -> int:
        """The replica, files, and the records of Dagster and MLflow."""
        self._on_replica()
        for address in addresses:
            self.artifacts.delete(address)
        home = self.settings.home
        profile.forget(profile.folder_of(home), author_id)
        shutil.rmtree(home / "training", ignore_errors=True)  # an interrupted training starts anew, without the text
        for log in (home / "logs").glob("*.log*"):
            log.write_bytes(b"")
        found = postgres.databases(self.settings.postgres)
        forget_tracking(found.mlflow, home, runs)
        forget_traces(found.mlflow, author_id)
        forget_sample_texts(home, author_id)
        logs = self.settings.step_logs
        options = self.settings.s3_options if logs.startswith("s3://") else {}
        return quieten_dagster(found.dagster, logs, author_id, options)

    def _in_main(self, statement: sa.Delete) -> None:
        """What the main database keeps of an author who lives elsewhere."""
        if (main := main_of(self.engine)) is not self.engine:
            with main.begin() as session:
                session.execute(statement)

    def _on_replica(self) -> None:
        """Wait until the replica has it, for as long as it may be behind; after that nobody reads from it."""
        found = postgres.databases(self.settings.postgres)
        follows = postgres.replica_engine(found, scoped=False)
        if follows and not caught_up(postgres.engine(found), follows, self.settings.replica_lag_seconds):
            log.warning("the replica still holds what was forgotten; no search reads from it until it has caught up")
