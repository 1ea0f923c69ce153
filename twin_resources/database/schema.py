"""Tables of the ``twin`` database.

Documents and their versions are append-only and the newest is found by pointer; everything derived from a document
goes with it when it is forgotten. Ids are content hashes, so writing the same thing twice changes nothing.
"""

from __future__ import annotations

import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC
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
    sa.Column("alias", sa.Text, primary_key=True, comment="candidate, champion or previous"),
    sa.Column("version", sa.Text, sa.ForeignKey("adapter.version", ondelete="CASCADE"), nullable=False),
    moment("changed_at"),
)

approval = sa.Table(
    "approval",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    author_key(),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False, comment="approve, reject or rollback"),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False, server_default=""),
    moment("at"),
)

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
