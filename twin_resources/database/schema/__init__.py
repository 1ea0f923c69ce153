"""Tables of the ``twin`` database.

Documents and their versions are append-only and the newest is found by pointer; everything derived from a document
goes with it when it is forgotten. Ids are content hashes, so writing the same thing twice changes nothing.
"""

from __future__ import annotations

from twin_resources.database.columns import metadata
from twin_resources.database.schema.documents import (
    author,
    clean_document,
    document,
    document_version,
    extraction,
    quarantine,
    raw_page,
    source,
    visit,
)
from twin_resources.database.schema.search import (
    chunk,
    embedding,
    embedding_model,
    lexical_member,
    lexical_segment,
    posting,
    search_release,
    sentence_embedding,
)
from twin_resources.database.schema.serving import (
    alert,
    api_key,
    blind_test,
    feedback,
    forgotten,
    idempotency,
    interaction,
    residence,
    shadow_answer,
)
from twin_resources.database.schema.training import (
    adapter,
    approval,
    dataset_member,
    dataset_version,
    document_place,
    generated_response,
    parameter_search,
    release,
    report,
    review,
    search_trial,
)

__all__ = [
    "adapter",
    "alert",
    "api_key",
    "approval",
    "author",
    "blind_test",
    "chunk",
    "clean_document",
    "dataset_member",
    "dataset_version",
    "document",
    "document_place",
    "document_version",
    "embedding",
    "embedding_model",
    "extraction",
    "feedback",
    "forgotten",
    "generated_response",
    "idempotency",
    "interaction",
    "lexical_member",
    "lexical_segment",
    "metadata",
    "parameter_search",
    "posting",
    "quarantine",
    "raw_page",
    "release",
    "report",
    "residence",
    "review",
    "search_release",
    "search_trial",
    "sentence_embedding",
    "shadow_answer",
    "source",
    "visit",
]
