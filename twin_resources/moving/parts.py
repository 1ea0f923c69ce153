"""What of an author lies in which table, in an order in which each row finds what it refers to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from twin_resources.database.schema import metadata

STAYS = {"alert", "idempotency", "api_key", "residence"}
"""Tables of the main database alone, whoever their rows are of."""


@dataclass(frozen=True)
class Part:
    """The rows of an author in one table.

    Attributes:
        where: which these are; ``t`` is the table, ``%(author)s`` the author.
        numbered: columns with numbers that the database gave, which other rows of another database may have.
        shared: whether rows are by the hash of a text and so may be another author's, too: copied where they are
            missing, and never compared.
    """

    table: str
    where: str = "t.author = %(author)s"
    numbered: tuple[str, ...] = ()
    shared: bool = False

    @property
    def columns(self) -> Sequence[str]:
        """All columns."""
        return [column.name for column in self._table.columns]

    @property
    def key(self) -> Sequence[str]:
        """Those of the primary key."""
        return [column.name for column in self._table.primary_key.columns]

    @property
    def _table(self) -> sa.Table:
        return metadata.tables[self.table]


def _under(parent: str, column: str) -> str:
    return f"EXISTS (SELECT 1 FROM {parent} AS p WHERE p.id = t.{column} AND p.author = %(author)s)"


_OWN_TEXT = "EXISTS (SELECT 1 FROM chunk AS p WHERE p.text_hash = t.text_hash AND p.author = %(author)s)"

PARTS = (
    Part("author", "t.id = %(author)s"),
    Part("source"),
    Part("visit", _under("source", "source_id")),
    Part("document"),
    Part("document_version", _under("document", "document_id")),
    Part("raw_page", _under("document", "document_id")),
    Part("extraction", _under("document", "document_id")),
    Part("quarantine"),
    Part("clean_document"),
    Part("chunk"),
    Part("embedding_model", "true", shared=True),
    Part("embedding", _OWN_TEXT, shared=True),
    Part("sentence_embedding", _OWN_TEXT, shared=True),
    Part("search_release"),
    Part("lexical_segment", numbered=("id",)),
    Part("lexical_member", _under("lexical_segment", "segment"), numbered=("segment",)),
    Part("posting", _under("lexical_segment", "segment"), numbered=("segment",)),
    Part("dataset_version"),
    Part("dataset_member", _under("dataset_version", "dataset_id")),
    Part("document_place"),
    Part("generated_response"),
    Part("review"),
    Part("adapter"),
    Part("parameter_search"),
    Part("search_trial", _under("parameter_search", "search")),
    Part("report"),
    Part("release"),
    Part("approval", numbered=("id",)),
    Part("interaction"),
    Part("feedback", _under("interaction", "trace_id"), numbered=("id",)),
    Part("shadow_answer"),
    Part("blind_test"),
    Part("forgotten"),
)
