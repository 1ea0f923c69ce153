"""Search: BM25 postings, the passages that are served, and the model each author is searched with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_SERVED = ("category", "platform", "language", "published_at", "url")


def upgrade() -> None:
    op.drop_index("ix_chunk_lexemes", table_name="chunk", postgresql_using="gin")
    op.drop_column("chunk", "lexemes")
    op.add_column(
        "chunk",
        sa.Column("language", sa.Text(), server_default="", nullable=False, comment="ISO 639-1, empty where unknown"),
    )
    op.alter_column("chunk", "current", comment="of the newest snapshot", existing_type=sa.Boolean())
    op.add_column(
        "chunk",
        sa.Column("served", sa.Boolean(), server_default=sa.false(), nullable=False, comment="search finds it"),
    )
    for column in _SERVED:
        op.create_index(
            f"ix_chunk_served_{column}", "chunk", ["author", column], postgresql_where=sa.text("served"), unique=False
        )
    op.create_table(
        "search_release",
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False, comment="search embeds with it"),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["author"], ["author.id"], name=op.f("fk_search_release_author_author"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["model"], ["embedding_model.name"], name=op.f("fk_search_release_model_embedding_model")
        ),
        sa.PrimaryKeyConstraint("author", name=op.f("pk_search_release")),
    )
    op.create_table(
        "lexical_segment",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False, comment="members"),
        sa.Column("lexemes", sa.BigInteger(), nullable=False, comment="sum of the members' lengths"),
        sa.Column("languages", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["author"], ["author.id"], name=op.f("fk_lexical_segment_author_author"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lexical_segment")),
    )
    op.create_index(op.f("ix_lexical_segment_author"), "lexical_segment", ["author"], unique=False)
    op.create_table(
        "lexical_member",
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("chunk_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["segment"],
            ["lexical_segment.id"],
            name=op.f("fk_lexical_member_segment_lexical_segment"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["chunk_id"], ["chunk.id"], name=op.f("fk_lexical_member_chunk_id_chunk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("segment", "ordinal", name=op.f("pk_lexical_member")),
    )
    op.create_index(op.f("ix_lexical_member_chunk_id"), "lexical_member", ["chunk_id"], unique=False)
    op.create_table(
        "posting",
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("lexeme", sa.Text(), nullable=False),
        sa.Column(
            "ordinals",
            postgresql.ARRAY(sa.Integer()),
            nullable=False,
            comment="members of the segment that have the lexeme",
        ),
        sa.Column(
            "impacts",
            postgresql.ARRAY(sa.REAL()),
            nullable=False,
            comment="BM25 weight of the lexeme in each, without its idf",
        ),
        sa.ForeignKeyConstraint(
            ["segment"], ["lexical_segment.id"], name=op.f("fk_posting_segment_lexical_segment"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("segment", "lexeme", name=op.f("pk_posting")),
    )
    for column in ("ordinals", "impacts"):
        op.execute(f"ALTER TABLE posting ALTER COLUMN {column} SET STORAGE EXTERNAL")
    _serve_what_was_searched()


def _serve_what_was_searched() -> None:
    """What could be found before can be found after; the next embedding run writes the postings."""
    op.execute("UPDATE chunk SET served = true WHERE current")
    op.execute(
        "INSERT INTO search_release (author, model) SELECT DISTINCT ON (c.author) c.author, e.model "
        "FROM chunk c JOIN embedding e ON e.text_hash = c.text_hash JOIN embedding_model m ON m.name = e.model "
        "WHERE c.current ORDER BY c.author, m.added_at DESC"
    )
