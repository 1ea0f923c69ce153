"""What search finds: passages, their vectors and their words."""

from __future__ import annotations

import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects.postgresql import ARRAY

from twin_resources.database.columns import author_key, document_key, identifier, metadata, moment

chunk = sa.Table(
    "chunk",
    metadata,
    identifier(),
    author_key(),
    document_key(),
    sa.Column(
        "clean_document_id",
        sa.Text,
        sa.ForeignKey("clean_document.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("published_at", sa.DateTime(timezone=True)),
    sa.Column("heading", ARRAY(sa.Text), nullable=False, comment="path of headings, or path and symbol of code"),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("start", sa.Integer, nullable=False, comment="offset in the clean text, in characters"),
    sa.Column("end", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("tokens", sa.Integer, nullable=False, comment="tokens of the embedded text, special ones included"),
    sa.Column("embedded_text", sa.Text, nullable=False),
    sa.Column("text_hash", sa.Text, nullable=False, index=True, comment="hash of the embedded text"),
    sa.Column("chunker", sa.Text, nullable=False, comment="code version, strategy and tokenizer of the chunking"),
    sa.Column("language", sa.Text, nullable=False, server_default="", comment="ISO 639-1, empty where unknown"),
    sa.Column("current", sa.Boolean, nullable=False, server_default=sa.true(), comment="of the newest snapshot"),
    sa.Column("served", sa.Boolean, nullable=False, server_default=sa.false(), comment="search finds it"),
    moment("created_at"),
    sa.Index("ix_chunk_author_current", "author", "category", postgresql_where=sa.text("current")),
    sa.Index("ix_chunk_served_category", "author", "category", postgresql_where=sa.text("served")),
    sa.Index("ix_chunk_served_platform", "author", "platform", postgresql_where=sa.text("served")),
    sa.Index("ix_chunk_served_language", "author", "language", postgresql_where=sa.text("served")),
    sa.Index("ix_chunk_served_published_at", "author", "published_at", postgresql_where=sa.text("served")),
    sa.Index("ix_chunk_served_url", "author", "url", postgresql_where=sa.text("served")),
    sa.Index("ix_chunk_served_document", "document_id", "position", postgresql_where=sa.text("served")),
)

embedding_model = sa.Table(
    "embedding_model",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("dimensions", sa.Integer, nullable=False),
    moment("added_at"),
)

embedding = sa.Table(
    "embedding",
    metadata,
    sa.Column("text_hash", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, sa.ForeignKey("embedding_model.name"), primary_key=True),
    sa.Column("vector", HALFVEC(), nullable=False),
)

sentence_embedding = sa.Table(
    "sentence_embedding",
    metadata,
    sa.Column("text_hash", sa.Text, primary_key=True, comment="of the passage"),
    sa.Column("model", sa.Text, sa.ForeignKey("embedding_model.name"), primary_key=True),
    sa.Column("cutter", sa.Text, nullable=False, comment="code version of the cutting into sentences"),
    sa.Column("vectors", sa.LargeBinary, nullable=False, comment="float16, one row a sentence in its order"),
)

search_release = sa.Table(
    "search_release",
    metadata,
    sa.Column("author", sa.Text, sa.ForeignKey("author.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("model", sa.Text, sa.ForeignKey("embedding_model.name"), nullable=False, comment="search embeds with it"),
    moment("changed_at"),
)

lexical_segment = sa.Table(
    "lexical_segment",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    author_key(),
    sa.Column("size", sa.Integer, nullable=False, comment="members"),
    sa.Column("lexemes", sa.BigInteger, nullable=False, comment="sum of the members' lengths"),
    sa.Column("languages", ARRAY(sa.Text), nullable=False),
    moment("created_at"),
)


def _segment() -> sa.Column[int]:
    return sa.Column(
        "segment", sa.BigInteger, sa.ForeignKey("lexical_segment.id", ondelete="CASCADE"), primary_key=True
    )


lexical_member = sa.Table(
    "lexical_member",
    metadata,
    _segment(),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("chunk_id", sa.Text, sa.ForeignKey("chunk.id", ondelete="CASCADE"), nullable=False, index=True),
)

posting = sa.Table(
    "posting",
    metadata,
    _segment(),
    sa.Column("lexeme", sa.Text, primary_key=True),
    sa.Column("ordinals", ARRAY(sa.Integer), nullable=False, comment="members of the segment that have the lexeme"),
    sa.Column("impacts", ARRAY(sa.REAL), nullable=False, comment="BM25 weight of the lexeme in each, without its idf"),
)
