"""A cross-encoder learns from groups of a question and its passages."""

from __future__ import annotations

from pathlib import Path

from twin_assets.train.cross_encoder import train_cross_encoder
from twin_assets.train.pairs import Group
from twin_resources.config.settings import Settings
from twin_resources.config.training import RerankerSettings
from twin_resources.models import hub
from twin_resources.retrieval.reranker import Reranker

WORDS = ("anchor", "ballast", "beacon", "bilge", "bollard", "buoy", "capstan", "cleat")


def test_the_passage_that_answers_comes_first_also_for_a_new_question(tmp_path: Path, server: Settings) -> None:
    groups = [
        Group(
            f"what is a {word}",
            (
                f"A {word} is explained here: the {word}.",
                *(f"Only {other}s and rain." for other in (*WORDS, *WORDS)[place + 1 : place + 4]),
            ),
        )
        for place, word in enumerate(WORDS)
    ]
    said: list[str] = []
    done = train_cross_encoder(
        hub.resolve(server.models.embedding, server),
        groups,
        RerankerSettings(epochs=3, learning_rate=6e-4),  # pyright: ignore[reportCallIssue]
        tmp_path / "model",
        seed=1,
        log=said.append,
    )
    assert (done["groups"], done["steps"]) == (8, 12)
    assert said[0].startswith("step 1 of 12, loss ")
    scorer = Reranker("trained", tmp_path / "model")
    right, wrong = scorer.scores(
        "what is a rudder", ["Only masts and rain.", "A rudder is explained here: the rudder."][::-1], budget_ms=10**6
    )
    assert right > wrong
