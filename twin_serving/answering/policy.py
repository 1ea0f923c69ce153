"""Who answers a question: the author's own sentences, or a model, and why."""

from __future__ import annotations

from dataclasses import dataclass

from twin_resources.rag.answer import Asked, Mode
from twin_resources.rag.intent import wants_writing
from twin_resources.storage.reports import Reports
from twin_serving.answering.services import Services


@dataclass(frozen=True)
class Choice:
    """How a question is answered, and the reason in words."""

    mode: Mode
    because: str


def choose(services: Services, author: str, text: str, asked: Asked, *, use_rag: bool) -> Choice:
    """Decide how to answer.

    A model answers by itself only where it holds a licence: on held-out questions enough of its sentences had support.
    """
    if not use_rag:
        return Choice("write", "asked without passages")
    if asked != "auto":
        return Choice(asked, f"{asked} was asked for")
    engine = services.engine
    adapter = None if engine.unready() else engine.champion(author)
    if wants_writing(text):
        if adapter is None:
            return Choice("quote", "a text is asked for, and no adapter of this author serves yet")
        return Choice("write", "a text is asked for, which is the adapter's own task")
    if adapter is None:
        return Choice("quote", "no adapter serves, so the author's own sentences answer")
    report = Reports(services.database).newest(author, "answers")
    licensed = report is not None and adapter in report.metrics.get("licensed", ())
    if licensed:
        return Choice("generate", f"{adapter} was measured to keep to the passages")
    why = "has not been measured yet" if report is None else "was not measured to keep to the passages"
    return Choice("quote", f"{adapter} {why}, so the author's own sentences answer")
