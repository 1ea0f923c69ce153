"""Calls and what readers said of them, keys, alerts, what must not come back, and who moved to another database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from twin_resources.database.columns import author_key, document_key, identifier, metadata, moment

interaction = sa.Table(
    "interaction",
    metadata,
    identifier(),
    sa.Column("author", sa.Text, nullable=False, index=True),
    sa.Column("call", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("prompt", sa.Text),
    sa.Column("answer", sa.Text),
    sa.Column("version", sa.Text, comment="adapter version, null for the base"),
    sa.Column("base", sa.Text),
    sa.Column("citations", JSONB, nullable=False),
    sa.Column("usage", JSONB, nullable=False),
    sa.Column("timings_ms", JSONB, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now(), index=True),
    sa.Column("mode", sa.Text, comment="quote, generate or write"),
    sa.Column("abstained", sa.Boolean),
    sa.Column("support", sa.Float, comment="share of sentences that a passage supports"),
    sa.Column("found", sa.Integer, comment="how many passages; null where none were sought"),
    sa.Column("conversation", sa.Text, index=True, comment="null outside of one"),
    sa.Column(
        "shown",
        JSONB(none_as_null=True),
        comment="what a reader got beside answer and citations; null where there is no answer",
    ),
    sa.Column(
        "draw",
        sa.Float,
        comment="where its conversation fell in [0, 1) when the canary's share was drawn; null where nothing was drawn",
    ),
)

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("trace_id", sa.Text, sa.ForeignKey("interaction.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("rating", sa.Text, nullable=False),
    sa.Column("comment", sa.Text),
    sa.Column("correction", sa.Text),
    moment("at"),
)

shadow_answer = sa.Table(
    "shadow_answer",
    metadata,
    sa.Column("trace_id", sa.Text, sa.ForeignKey("interaction.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("version", sa.Text, sa.ForeignKey("adapter.version", ondelete="CASCADE"), primary_key=True),
    author_key(),
    sa.Column("answer", sa.Text, nullable=False, comment="of this version to the question of that call"),
    sa.Column("beside", sa.Text, nullable=False, comment="the version that spoke then"),
    sa.Column("answer_beside", sa.Text, nullable=False, comment="what that one answers"),
    moment("at"),
)

blind_test = sa.Table(
    "blind_test",
    metadata,
    identifier(),
    author_key(),
    sa.Column("version", sa.Text, sa.ForeignKey("adapter.version", ondelete="CASCADE"), nullable=False, index=True),
    document_key(),
    sa.Column("pair_id", sa.Text, nullable=False, comment="hash of the two texts"),
    sa.Column("reader", sa.Text, comment="hash of a token that the reader keeps; null once that is no longer kept"),
    sa.Column("own_side", sa.Text, nullable=False, comment="a or b: where the author's text stood"),
    sa.Column("choice", sa.Text, comment="a or b: what the reader held for the author's; null until answered"),
    moment("shown_at"),
    sa.Column("answered_at", sa.DateTime(timezone=True)),
    sa.UniqueConstraint("reader", "document_id"),
    sa.CheckConstraint("(choice IS NULL) = (answered_at IS NULL)", name="choice_has_time"),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="hash of the key and of who sent it"),
    sa.Column("request", sa.Text, nullable=False, comment="hash of method, path and body"),
    author_key(nobody="whose data the answer holds; null until there is one"),
    sa.Column("status", sa.Integer, comment="null while the write is in progress"),
    sa.Column("media_type", sa.Text),
    sa.Column("body", sa.Text, comment="the answer"),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now(), index=True),
    sa.CheckConstraint("(body IS NULL) = (author IS NULL)", name="answer_has_author"),
)

alert = sa.Table(
    "alert",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    author_key(nobody="null where it concerns all"),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="watched, open or closed"),
    sa.Column("streak", sa.Integer, nullable=False, comment="observations in a row towards the next state"),
    moment("opened_at"),
    sa.Column("closed_at", sa.DateTime(timezone=True)),
    sa.Column("told", sa.Text, comment="what people were told last: opened or closed"),
    sa.Column("told_at", sa.DateTime(timezone=True)),
    sa.Column("acknowledged_at", sa.DateTime(timezone=True)),
    sa.Column("acknowledged_by", sa.Text),
)

api_key = sa.Table(
    "api_key",
    metadata,
    identifier(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False, unique=True, comment="SHA-256 of the key, which is random"),
    sa.Column("kind", sa.Text, nullable=False, comment="admin, author or reader"),
    sa.Column("authors", ARRAY(sa.Text), nullable=False, comment="none for an admin: all"),
    moment("created_at"),
    sa.Column("last_used_at", sa.DateTime(timezone=True), comment="to the minute"),
    sa.Column("revoked_at", sa.DateTime(timezone=True)),
    sa.Column("calls_a_minute", sa.Integer, comment="null for any number"),
    sa.Column("tokens_a_day", sa.BigInteger, comment="null for any number"),
    sa.Column("spent_on", sa.Date, comment="the day, in UTC, of what was spent last"),
    sa.Column("spent", sa.BigInteger, nullable=False, server_default="0", comment="tokens of that day"),
)

forgotten = sa.Table(
    "forgotten",
    metadata,
    identifier(),
    author_key(),
    sa.Column("document_id", sa.Text, nullable=False, index=True),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("adapters", ARRAY(sa.Text), nullable=False, comment="adapters that were trained on it"),
    moment("at"),
)

residence = sa.Table(
    "residence",
    metadata,
    sa.Column("author", sa.Text, primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False, comment="counts the moves; the highest is right"),
    sa.Column("moved_to", sa.Text, comment="the database they moved to; null for none"),
    sa.Column("arriving_from", sa.Text, comment="the database they are copied from"),
    sa.Column("shift", sa.BigInteger, nullable=False, comment="added to numbered ids that are copied"),
    moment("at"),
)
