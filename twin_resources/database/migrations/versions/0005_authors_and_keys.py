"""API keys, and row-level security by author. Whoever owns the tables can apply it; no superuser is needed.

``embedding``, ``sentence_embedding`` and ``embedding_model`` have no policy: they are keyed by the hash of a text, hold
no author, and are found only through a passage, which has one.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

BY_AUTHOR = (
    *("source", "document", "quarantine", "clean_document", "chunk", "search_release", "lexical_segment"),
    *("dataset_version", "adapter", "report", "release", "approval", "interaction", "forgotten"),
)
BY_PARENT = (
    ("document_version", "document_id", "document"),
    ("visit", "source_id", "source"),
    ("dataset_member", "dataset_id", "dataset_version"),
    ("feedback", "trace_id", "interaction"),
    ("lexical_member", "segment", "lexical_segment"),
    ("posting", "segment", "lexical_segment"),
)
# Each in a SELECT of its own, so that it is computed once a query and not once a row.
EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"
ALLOWED = "((SELECT string_to_array(current_setting('app.authors', true), ','))::text[])"


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the key, which is random"),
        sa.Column("kind", sa.Text(), nullable=False, comment="admin, author or reader"),
        sa.Column("authors", postgresql.ARRAY(sa.Text()), nullable=False, comment="none for an admin: all"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True, comment="to the minute"),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_key_hash")),
    )
    _protect("author", f"{EVERYBODY} OR id = ANY {ALLOWED}")
    for table in BY_AUTHOR:
        _protect(table, f"{EVERYBODY} OR author = ANY {ALLOWED}")
    for table, column, parent in BY_PARENT:
        _protect(table, f"{EVERYBODY} OR EXISTS (SELECT FROM {parent} WHERE {parent}.id = {table}.{column})")
    _protect("api_key", EVERYBODY)


def _protect(table: str, visible: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_author ON {table} USING ({visible}) WITH CHECK ({visible})")
