"""Datasets, adapters, what was measured of them, and what was decided."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from twin_resources.database.columns import author_key, document_key, identifier, metadata, moment

dataset_version = sa.Table(
    "dataset_version",
    metadata,
    identifier(),
    author_key(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("artifact", sa.Text, nullable=False),
    sa.Column("manifest", JSONB, nullable=False),
    moment("created_at"),
)

dataset_member = sa.Table(
    "dataset_member",
    metadata,
    sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset_version.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("sample_id", sa.Text, primary_key=True),
    sa.Column("chunk_id", sa.Text, primary_key=True),
    sa.Column("document_id", sa.Text, nullable=False, index=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("split", sa.Text, nullable=False),
)

document_place = sa.Table(
    "document_place",
    metadata,
    sa.Column("document_id", sa.Text, sa.ForeignKey("document.id", ondelete="CASCADE"), primary_key=True),
    author_key(),
    sa.Column("place", sa.Float, nullable=False, comment="among test, validation and training, in [0, 1); for ever"),
    sa.Column("lowest", sa.Float, nullable=False, comment="lowest place of all it ever shared text with"),
    moment("at"),
)

generated_response = sa.Table(
    "generated_response",
    metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="hash of model, prompt version, kind, document and passage"),
    author_key(),
    document_key(),
    sa.Column("content", sa.Text, nullable=False, comment="as the model wrote it"),
    sa.Column("prompt_tokens", sa.Integer, nullable=False),
    sa.Column("completion_tokens", sa.Integer, nullable=False),
    moment("at"),
)

review = sa.Table(
    "review",
    metadata,
    sa.Column("author", sa.Text, sa.ForeignKey("author.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("sample_id", sa.Text, primary_key=True, comment="hash of the sample's content, as it was generated"),
    document_key(),
    sa.Column("verdict", sa.Text, nullable=False, comment="accepted, rejected or edited"),
    sa.Column("answer", sa.Text, comment="of an edited sample; null for the others"),
    sa.Column("by", sa.Text, nullable=False, comment="the name of the key, or local"),
    moment("at"),
)

adapter = sa.Table(
    "adapter",
    metadata,
    identifier(),
    author_key(),
    sa.Column("version", sa.Text, nullable=False, unique=True, comment="<author>-<hash>; never reused"),
    sa.Column("kind", sa.Text, nullable=False, comment="sft or dpo"),
    sa.Column("base", sa.Text, nullable=False),
    sa.Column("artifact", sa.Text, nullable=False),
    sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset_version.id"), nullable=False, index=True),
    sa.Column("parameters", JSONB, nullable=False),
    sa.Column("metrics", JSONB, nullable=False),
    sa.Column("tracking_run", sa.Text),
    sa.Column("retired_at", sa.DateTime(timezone=True)),
    sa.Column("retired_because", sa.Text),
    moment("created_at"),
)

parameter_search = sa.Table(
    "parameter_search",
    metadata,
    identifier(),
    author_key(),
    sa.Column("base", sa.Text, nullable=False),
    sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset_version.id"), nullable=False, index=True),
    sa.Column("measured_on", sa.Text, nullable=False, comment="hash of validation samples and base"),
    sa.Column("tracking_run", sa.Text),
    sa.Column("parameters", JSONB, comment="the best; null until it ended"),
    sa.Column("validation_loss", sa.Float),
    sa.Column("trials", sa.Integer, comment="how many were made until it ended"),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    moment("started_at"),
)

search_trial = sa.Table(
    "search_trial",
    metadata,
    sa.Column("search", sa.Text, sa.ForeignKey("parameter_search.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("parameters", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="running, complete, pruned or failed"),
    sa.Column("losses", JSONB, nullable=False, comment="validation loss of each evaluation so far"),
    sa.Column("reason", sa.Text, nullable=False, comment="why it was pruned or failed"),
    sa.Column("tracking_run", sa.Text),
    moment("at"),
)

report = sa.Table(
    "report",
    metadata,
    identifier(),
    author_key(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, comment="the adapter or dataset version it is about"),
    sa.Column("metrics", JSONB, nullable=False),
    sa.Column("artifact", sa.Text, nullable=False),
    moment("created_at"),
)

release = sa.Table(
    "release",
    metadata,
    sa.Column("author", sa.Text, sa.ForeignKey("author.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True, comment="candidate, champion, previous or canary"),
    sa.Column("version", sa.Text, sa.ForeignKey("adapter.version", ondelete="CASCADE"), nullable=False),
    sa.Column("share", sa.Float, comment="of conversations that the canary answers; null for the others"),
    moment("changed_at"),
    sa.CheckConstraint("(alias = 'canary') = (share IS NOT NULL)", name="canary_has_share"),
)

approval = sa.Table(
    "approval",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    author_key(),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False, comment="approve, reject, rollback or canary"),
    sa.Column("share", sa.Float, comment="of conversations that a canary was given; null for the others"),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False, server_default=""),
    moment("at"),
)
