"""Embeds the passages that have no vector yet; runs in a process of its own, the only place here that loads torch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from dagster_pipes import PipesContext, open_dagster_pipes

from twin_assets.embed.actors import ActorEmbedder, embedder_of
from twin_resources.config.settings import load
from twin_resources.database.shards import author_engine
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.sentences import Cut, SentenceIndex
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.runtime.processes import end_with_parent

_PASSAGES_A_BATCH = 128


def embed(
    index: VectorIndex,
    embedder: Embedder | ActorEmbedder,
    author_id: str,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Embed and store in batches, each its own transaction, so that a killed job goes on where it was.

    All categories at once: loading the model takes longer than embedding an author's posts.

    Args:
        progress: is told how many texts are done after each batch.

    Returns:
        The number of texts embedded.
    """
    done = 0
    with embedder.spread():
        missing = index.stream_missing(author_id, embedder.page)
        for batch, vectors in embedder.encode_each((batch, [text for _, text in batch]) for batch in missing):
            index.save(zip((text_hash for text_hash, _ in batch), vectors, strict=True), embedder.dimensions)
            done += len(batch)
            progress(done)
    return done


def embed_sentences(
    index: SentenceIndex,
    embedder: Embedder | ActorEmbedder,
    author_id: str,
    say: Callable[[str], None] = lambda said: None,
) -> int:
    """Embed the sentences of passages that have no sentence vectors yet, in batches that are each stored; returns how
    many sentences there were."""
    total, passages, sentences = index.missing(author_id), 0, 0
    with embedder.spread():
        missing = index.stream_missing(author_id, _PASSAGES_A_BATCH)
        cuts = (Cut.of({each.text_hash: each for each in batch}) for batch in missing)
        for done, vectors in embedder.encode_each((each, each.texts) for each in cuts):
            sentences += index.store(done, vectors)
            passages += len(done.units)
            say(f"sentences of {passages} of {total} passages embedded")
    return sentences


def run(context: PipesContext) -> dict[str, float]:
    """Embed what is missing for an author and build the index where it is missing."""
    author_id, config = context.get_extra("author"), context.get_extra("config")
    settings = load(config)
    index = VectorIndex(author_engine(settings, author_id), settings.models.embedding)
    total = index.missing(author_id)
    started = time.monotonic()
    with embedder_of(settings, config) as embedder:
        loaded = time.monotonic() - started
        started = time.monotonic()

        def progress(done: int) -> None:
            rate = done / (time.monotonic() - started)
            context.log.info(f"{done} of {total} passages embedded, {rate:.0f} a second")

        done = embed(index, embedder, author_id, progress)
        index.ensure_index()
        seconds = time.monotonic() - started
        index.publish(author_id)  # search is there now; sentences are for quoting, and follow
        sentences = embed_sentences(SentenceIndex(index.engine, index.model), embedder, author_id, context.log.info)
    return {"embedded": done, "sentences": sentences, "seconds": seconds, "load_seconds": loaded}


if __name__ == "__main__":
    end_with_parent()
    with open_dagster_pipes() as pipes:
        pipes.report_custom_message(run(pipes))
    sys.exit(0)
