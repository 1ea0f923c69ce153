"""Embeds an author's passages one by one, by actors, and kills one of these when a number of passages is stored; then
their sentences."""

from __future__ import annotations

import os
import signal

from dagster_pipes import open_dagster_pipes

from twin_assets.embed.actors import ActorEmbedder, embedder_of
from twin_assets.embed.job import embed, embed_sentences
from twin_resources.config.settings import load
from twin_resources.database import postgres
from twin_resources.retrieval.sentences import SentenceIndex
from twin_resources.retrieval.vectors import VectorIndex

if __name__ == "__main__":
    with open_dagster_pipes() as pipes:
        config, kill_at = pipes.get_extra("config"), pipes.get_extra("kill_at")
        settings = load(config)
        index = VectorIndex(postgres.engine(postgres.databases(settings.postgres)), settings.models.embedding)
        with embedder_of(settings, config) as actors:
            assert isinstance(actors, ActorEmbedder)
            pids = actors.pids
            actors.page = 1

            def progress(done: int) -> None:
                if done == kill_at:
                    os.kill(pids[0], signal.SIGKILL)

            author = pipes.get_extra("author")
            done = embed(index, actors, author, progress)
            sentences = embed_sentences(SentenceIndex(index.engine, index.model), actors, author)
            pipes.report_custom_message({"embedded": done, "lost": actors.lost, "sentences": sentences})
