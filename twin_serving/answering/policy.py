"""Who answers a question that came in: the answer policy, asked with the adapter that serves and its licence."""

from __future__ import annotations

from twin_resources.rag import policy
from twin_resources.rag.answer import Asked
from twin_resources.rag.policy import Choice
from twin_serving.answering.services import Services


def choose(services: Services, author: str, text: str, asked: Asked, *, use_rag: bool) -> Choice:
    """Decide how to answer; see :func:`twin_resources.rag.policy.choose`."""
    engine = services.engine
    adapter = None if engine.unready() else engine.champion(author)
    return policy.choose(
        asked, text, use_rag=use_rag, adapter=adapter, licensed=lambda version: services.rag.licensed(author, version)
    )
