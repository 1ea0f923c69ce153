"""Cutting the clean documents that have no passages yet."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from twin_assets.chunk.chunk import CODE_VERSION, chunk
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.storage.chunk_store import Chunk, ChunkStore
from twin_resources.storage.clean_store import CleanDocument
from twin_resources.text.identity import content_id

_PAGE = 100


@dataclass
class Chunking:
    """What a chunking did: documents cut now, and passages added."""

    documents: int = 0
    passages: int = 0


def chunker_id(embedding_model: str, counter: TokenCounter) -> str:
    """Names the way of cutting: the code, and the tokenizer whose limit it keeps to."""
    return f"{CODE_VERSION}/{embedding_model}/{counter.limit}"


def cut_new(
    store: ChunkStore,
    author_id: str,
    category: str,
    counter: TokenCounter,
    chunker: str,
    progress: Callable[[int], None] | None = None,
) -> Chunking:
    """Cut what is new in a category, a page of whole documents at a time, and decide which passages are current.

    Raises:
        ValueError: the passages of a document do not join to its text, or one is over the limit.
    """
    done = Chunking()
    waiting = iter(store.unchunked(author_id, category, chunker))
    while page := list(itertools.islice(waiting, _PAGE)):
        done.passages += store.add(cut for document in page for cut in chunks_of(document, counter, chunker))
        done.documents += len(page)
        if progress:
            progress(done.documents)
    store.point_to_current(author_id, category, chunker)
    return done


def chunks_of(document: CleanDocument, counter: TokenCounter, chunker: str) -> list[Chunk]:
    """The chunks of one clean document.

    Raises:
        ValueError: they do not join to its text, or one is over the limit.
    """
    attributes = document.attributes
    cuts = chunk(
        document.text,
        document.category,
        counter,
        title=document.title,
        path=attributes.get("path"),
        language=attributes.get("language"),
    )
    if "".join(cut.text for cut in cuts) != document.text:
        raise ValueError(f"{document.url}: its passages do not join to its text; this is a defect of the chunking")
    seen: Counter[str] = Counter()
    chunks = []
    for position, cut in enumerate(cuts):
        if cut.tokens > counter.limit:
            raise ValueError(f"{document.url}: a passage has {cut.tokens} tokens, over the limit of {counter.limit}")
        text_hash = content_id("embedded", cut.embedded_text)
        seen[text_hash] += 1
        chunks.append(
            Chunk(
                id=content_id("chunk", document.id, chunker, text_hash, seen[text_hash]),
                author=document.author,
                document_id=document.document_id,
                clean_document_id=document.id,
                category=document.category,
                platform=document.platform,
                url=document.url,
                title=document.title,
                published_at=document.published_at,
                heading=cut.heading,
                position=position,
                start=cut.start,
                end=cut.end,
                text=cut.text,
                tokens=cut.tokens,
                embedded_text=cut.embedded_text,
                text_hash=text_hash,
                chunker=chunker,
                language="" if document.category == "code" else attributes.get("language", ""),
            )
        )
    return chunks
