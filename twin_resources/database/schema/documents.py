"""Documents: their sources, versions and pages, and what cleaning made of them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from twin_resources.database.columns import author_key, document_key, identifier, metadata, moment

author = sa.Table(
    "author",
    metadata,
    identifier(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("consent", sa.Text, nullable=False),
    moment("recorded_at"),
)

source = sa.Table(
    "source",
    metadata,
    identifier(),
    author_key(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False, comment="the raw asset it belongs to"),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("options", JSONB, nullable=False),
    sa.Column("remembered", sa.Boolean, nullable=False, comment="added by `twin import`, not in twin.yaml"),
    moment("added_at"),
    sa.Column("read_at", sa.DateTime(timezone=True)),
    sa.Column("counts", JSONB),
    sa.Column("cursor", JSONB, nullable=False, server_default="{}", comment="where the next reading goes on"),
    sa.Column("failed_at", sa.DateTime(timezone=True), comment="since when it cannot be read; null when it can"),
    sa.Column("failure", sa.Text, comment="why it cannot be read"),
)

visit = sa.Table(
    "visit",
    metadata,
    sa.Column("source_id", sa.Text, sa.ForeignKey("source.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("url", sa.Text, primary_key=True, comment="what was asked, not what it led to"),
    sa.Column("etag", sa.Text),
    sa.Column("last_modified", sa.Text),
    sa.Column("marker", sa.Text, comment="what the platform's list said of this version"),
    sa.Column("outcome", JSONB, nullable=False, comment="what came of it, to be said again while it is unchanged"),
    moment("at"),
)

document = sa.Table(
    "document",
    metadata,
    identifier(),
    author_key(),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("source_id", sa.Text, sa.ForeignKey("source.id", ondelete="SET NULL"), index=True),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("version_id", sa.Text, comment="the newest version"),
    moment("first_seen_at"),
    sa.Column("gone_at", sa.DateTime(timezone=True)),
    sa.Column("missing", sa.Integer, nullable=False, server_default="0", comment="complete readings without it"),
    sa.Column("former_urls", ARRAY(sa.Text), nullable=False, server_default="{}", comment="before it was moved"),
    sa.UniqueConstraint("author", "url"),
)

document_version = sa.Table(
    "document_version",
    metadata,
    identifier(),
    document_key(),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("byline", sa.Text),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("published_at", sa.DateTime(timezone=True)),
    sa.Column("payload", JSONB, nullable=False, comment="other URLs and the platform's own fields"),
    moment("fetched_at"),
)

raw_page = sa.Table(
    "raw_page",
    metadata,
    sa.Column("version_id", sa.Text, sa.ForeignKey("document_version.id", ondelete="CASCADE"), primary_key=True),
    document_key(),
    sa.Column("url", sa.Text, nullable=False, comment="the address it is read at"),
    sa.Column("content_type", sa.Text, nullable=False, comment="as the host sent it, with the character set"),
    sa.Column("content", sa.LargeBinary, nullable=False, comment="the body as it was sent, compressed with zlib"),
    sa.Column("extractor", sa.Text, nullable=False, comment="that read what the version holds"),
    moment("fetched_at"),
)

extraction = sa.Table(
    "extraction",
    metadata,
    sa.Column("version_id", sa.Text, sa.ForeignKey("document_version.id", ondelete="CASCADE"), primary_key=True),
    document_key(),
    sa.Column("extractor", sa.Text, nullable=False, comment="that read the stored page last"),
    sa.Column("content_hash", sa.Text, comment="null where it reads what the version holds, as the columns below"),
    sa.Column("title", sa.Text),
    sa.Column("byline", sa.Text),
    sa.Column("body", sa.Text),
    sa.Column("published_at", sa.DateTime(timezone=True)),
    sa.Column("payload", JSONB, comment="other URLs and the platform's own fields"),
    moment("at"),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    identifier(),
    author_key(),
    sa.Column("source_id", sa.Text, sa.ForeignKey("source.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("remedy", sa.Text, nullable=False),
    moment("seen_at"),
)

clean_document = sa.Table(
    "clean_document",
    metadata,
    identifier(),
    author_key(),
    document_key(),
    sa.Column("version_id", sa.Text, nullable=False, index=True),
    sa.Column("extraction", sa.Text, comment="content hash of the later extraction it was made from; null for none"),
    sa.Column("cleaner", sa.Text, nullable=False, comment="code version of the cleaning"),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("published_at", sa.DateTime(timezone=True)),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("words", sa.Integer, nullable=False),
    sa.Column("kept_share", sa.Float, nullable=False, comment="share of the source's words that the text keeps"),
    sa.Column("byline", sa.Text),
    sa.Column("attributes", JSONB, nullable=False, comment="path, language and repository of code"),
    sa.Column("removed", JSONB, nullable=False, comment="what was taken out, by reason, with samples"),
    sa.Column("excluded", sa.Text, comment="why it is not used, null when it is"),
    sa.Column("duplicate_of", sa.Text),
    sa.Column("current", sa.Boolean, nullable=False, server_default=sa.true()),
    moment("created_at"),
)
