"""Taking a document out of our database: rows that hold its text, and what has to go besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, JSONPATH

from twin_resources.database.schema import (
    adapter,
    chunk,
    dataset_member,
    dataset_version,
    document,
    embedding,
    generated_response,
    idempotency,
    interaction,
    lexical_member,
    lexical_segment,
    quarantine,
    report,
    review,
    sentence_embedding,
    shadow_answer,
    source,
    visit,
)
from twin_resources.text.sentences import sentences
from twin_resources.text.words import WORD

WITH_TEXT = ("answers", "generation", "monitoring", "style")
"""Kinds of reports that show answers or questions; the others hold figures alone."""


_OWN_SENTENCE = 30
_OWN_WORD = 5
_HELD = sa.func.concat_ws(
    "\n",
    interaction.c.query,
    interaction.c.prompt,
    interaction.c.answer,
    interaction.c.shown["searched_for"].astext,
    *(
        sa.cast(sa.func.jsonb_path_query_array(interaction.c.shown, sa.cast(path, JSONPATH)), sa.Text)
        for path in ("$.sentences[*].text", "$.nearest[*].title")
    ),
)
"""What a call says; not how it is stored, since a word of a document may be the name of a member."""


@dataclass
class Erased:
    """What a forgetting took out; ``artifacts`` are the addresses of files that have to be deleted."""

    artifacts: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    reports: int = 0
    interactions: int = 0
    vectors: int = 0


def erase(
    session: sa.Connection, author_id: str, document_ids: Sequence[str], is_common: Callable[[str], bool]
) -> Erased:
    """Delete documents and all rows that hold their text, in the caller's transaction, which holds the author's lock.

    Rows that others refer to (dataset versions, members, adapters) stay, without text and without their files.

    Args:
        is_common: whether a word is one of the language, which gives nothing away.
    """
    erased = Erased()
    mine = document.c.id.in_(document_ids)
    heads = session.execute(sa.select(document.c.url, document.c.former_urls).where(mine)).all()
    urls = {url for row in heads for url in (row.url, *row.former_urls)}
    since = session.scalar(sa.select(sa.func.min(document.c.first_seen_at)).where(mine))
    passages = session.execute(
        sa.select(chunk.c.id, chunk.c.text_hash).where(chunk.c.document_id.in_(document_ids))
    ).all()
    chunk_ids, hashes = [row.id for row in passages], {row.text_hash for row in passages}
    _datasets(session, author_id, document_ids, erased)
    _reports(session, author_id, since, erased)
    # An adapter may say what it was trained on, whatever it was asked.
    session.execute(sa.delete(shadow_answer).where(shadow_answer.c.author == author_id, shadow_answer.c.at >= since))
    texts = session.scalars(sa.select(chunk.c.text).where(chunk.c.id.in_(chunk_ids))).all()
    # Nor does it matter which documents it was trained on: what it wrote on the way answers held-out ones.
    quoting = sa.update(adapter).where(adapter.c.author == author_id, adapter.c.metrics.has_key("texts"))
    session.execute(quoting.values(metrics=adapter.c.metrics.op("-")("texts")))
    erased.interactions = _interactions(session, author_id, chunk_ids, urls)
    erased.interactions += _quoting(session, author_id, since, _sentences(texts))
    own = {word for word in _words(texts) if not is_common(word)}
    telling = _only_there(session, author_id, document_ids, own)
    erased.interactions += _naming(session, author_id, since, telling)
    _reviews(session, author_id, document_ids, (*_sentences(texts), *telling))
    _responses(session, (*_sentences(texts), *telling), erased)
    told = _tells(idempotency.c.body, (*document_ids, *urls, *_sentences(texts), *telling))
    session.execute(sa.delete(idempotency).where(idempotency.c.author == author_id, told))
    if erased.interactions:
        _preferences(session, author_id, erased)
    # A lexeme may be the document's alone, so the segments that hold it are built anew from what is left.
    holding = sa.select(lexical_member.c.segment).where(lexical_member.c.chunk_id.in_(chunk_ids))
    session.execute(sa.delete(lexical_segment).where(lexical_segment.c.id.in_(holding)))
    session.execute(sa.delete(document).where(mine))
    for table in (embedding, sentence_embedding):
        used = sa.exists().where(chunk.c.text_hash == table.c.text_hash)
        erased.vectors += session.execute(sa.delete(table).where(table.c.text_hash.in_(hashes), ~used)).rowcount
    named = [visit.c.outcome["items"].contains([["document", url]]) for url in sorted(urls)]
    mine_visits = sa.select(source.c.id).where(source.c.author == author_id)
    session.execute(sa.delete(visit).where(visit.c.source_id.in_(mine_visits), sa.or_(visit.c.url.in_(urls), *named)))
    session.execute(sa.delete(quarantine).where(quarantine.c.author == author_id, quarantine.c.item.in_(urls)))
    return erased


def _reviews(session: sa.Connection, author_id: str, document_ids: Sequence[str], telling: Sequence[str]) -> None:
    """What people decided on samples that show a passage of the documents, and edits that hold ``telling`` words or
    sentences of them; what was decided on samples made of them goes with the documents."""
    showing = sa.select(dataset_member.c.sample_id).where(dataset_member.c.document_id.in_(document_ids))
    gone = sa.or_(review.c.sample_id.in_(showing), _tells(review.c.answer, telling))
    session.execute(sa.delete(review).where(review.c.author == author_id, gone))


def _responses(session: sa.Connection, telling: Sequence[str], erased: Erased) -> None:
    """What models wrote for datasets, of whichever author, that holds ``telling`` words or sentences: an adapter may
    say what it was trained on. Preference datasets may hold it too, and are made anew without it."""
    statement = sa.delete(generated_response).where(_tells(generated_response.c.content, telling))
    for each in set(session.scalars(statement.returning(generated_response.c.author))):
        _preferences(session, each, erased)


def _tells(column: sa.ColumnElement[str], telling: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether a text holds one of some words or sentences."""
    lowered = sa.cast([each.lower() for each in telling], ARRAY(sa.Text))
    part = sa.func.unnest(lowered).table_valued("text").render_derived()
    return sa.exists(sa.select(1).select_from(part).where(sa.func.strpos(sa.func.lower(column), part.c.text) > 0))


def _datasets(session: sa.Connection, author_id: str, document_ids: Sequence[str], erased: Erased) -> None:
    """Dataset versions with a sample of the documents lose their files and what their manifests say in words."""
    holding = sa.select(dataset_member.c.dataset_id).where(dataset_member.c.document_id.in_(document_ids))
    _empty(session, (dataset_version.c.author == author_id, dataset_version.c.id.in_(holding)), erased)
    session.execute(
        sa.update(dataset_member).where(dataset_member.c.document_id.in_(document_ids)).values(url="forgotten")
    )


def _preferences(session: sa.Connection, author_id: str, erased: Erased) -> None:
    """Preference datasets are made of interactions and name none, so all of an author's are made anew."""
    _empty(session, (dataset_version.c.author == author_id, dataset_version.c.kind == "preference"), erased)


def _empty(session: sa.Connection, wanted: tuple[sa.ColumnElement[bool], ...], erased: Erased) -> None:
    emptied = sa.cast({"erased": "its files held text that was forgotten"}, JSONB)
    kept = dataset_version.c.manifest.op("-")(sa.cast(["facts", "example", "flags"], ARRAY(sa.Text)))
    rows = session.execute(
        sa.update(dataset_version)
        .where(*wanted)
        .values(manifest=kept.op("||")(emptied))
        .returning(dataset_version.c.id, dataset_version.c.artifact)
    ).all()
    erased.datasets += [row.id for row in rows]
    erased.artifacts += [row.artifact for row in rows]


def _reports(session: sa.Connection, author_id: str, since: Any, erased: Erased) -> None:
    """Reports that show text and were measured since the document was there; the graph measures them anew."""
    wanted = (report.c.author == author_id, report.c.kind.in_(WITH_TEXT), report.c.created_at >= since)
    rows = session.scalars(sa.delete(report).where(*wanted).returning(report.c.artifact)).all()
    erased.reports = len(rows)
    erased.artifacts += [artifact for artifact in rows if artifact]


def _interactions(session: sa.Connection, author_id: str, chunk_ids: Sequence[str], urls: set[str]) -> int:
    """Calls that rest on a passage of the documents, or name one of their addresses, if only as what comes near."""
    named = interaction.c.citations.op("||")(sa.func.coalesce(interaction.c.shown["nearest"], sa.cast([], JSONB)))
    entry = sa.func.jsonb_array_elements(named).table_valued("value").alias("entry")
    cited = sa.exists(
        sa.select(1)
        .select_from(entry)
        .where(
            sa.or_(
                sa.cast(entry.c.value, JSONB)["chunk_id"].astext.in_(chunk_ids),
                sa.cast(entry.c.value, JSONB)["url"].astext.in_(urls),
            )
        )
    )
    return session.execute(sa.delete(interaction).where(interaction.c.author == author_id, cited)).rowcount


def _sentences(texts: Sequence[str]) -> set[str]:
    """Sentences that are long enough to be nobody else's."""
    found = {text[start:end] for text in texts for start, end in sentences(text)}
    return {sentence for sentence in found if len(sentence) >= _OWN_SENTENCE}


def _quoting(session: sa.Connection, author_id: str, since: Any, own: set[str]) -> int:
    """Calls since the document was there that hold a sentence of it without citing it."""
    wanted = (interaction.c.author == author_id, interaction.c.at >= since)
    rows = session.execute(sa.select(interaction.c.id, _HELD).where(*wanted)).all() if own else []
    quoting = [key for key, text in rows if any(sentence in text for sentence in own)]
    return session.execute(sa.delete(interaction).where(interaction.c.id.in_(quoting))).rowcount


def _words(texts: Sequence[str]) -> set[str]:
    return {word.casefold() for text in texts for word in WORD.findall(text) if len(word) >= _OWN_WORD}


def _only_there(session: sa.Connection, author_id: str, document_ids: Sequence[str], words: set[str]) -> Sequence[str]:
    """Those of the words that stand in no other passage of the author."""
    if not words:
        return ()
    word = sa.func.unnest(sa.cast(sorted(words), ARRAY(sa.Text))).table_valued("word").render_derived()
    others = (chunk.c.author == author_id, chunk.c.current, chunk.c.document_id.not_in(document_ids))
    elsewhere = sa.exists().where(*others, sa.func.strpos(sa.func.lower(chunk.c.text), word.c.word) > 0)
    return session.scalars(sa.select(word.c.word).where(~elsewhere)).all()


def _naming(session: sa.Connection, author_id: str, since: Any, words: Sequence[str]) -> int:
    """Calls since the document was there that hold a word which only the document held."""
    wanted = (interaction.c.author == author_id, interaction.c.at >= since, _tells(_HELD, words))
    return session.execute(sa.delete(interaction).where(*wanted)).rowcount if words else 0


def retired_files(session: sa.Connection, versions: Sequence[str]) -> tuple[list[str], list[str]]:
    """Artifacts and tracking runs of adapters that are taken out of use."""
    rows = session.execute(
        sa.select(adapter.c.artifact, adapter.c.tracking_run).where(adapter.c.version.in_(versions))
    ).all()
    return [row.artifact for row in rows], [row.tracking_run for row in rows if row.tracking_run]
