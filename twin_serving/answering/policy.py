"""What is asked, and who answers it: the answer policy, asked with the adapter that speaks and its licence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from twin_resources.rag import policy
from twin_resources.rag.answer import Asked
from twin_resources.rag.policy import Choice
from twin_resources.retrieval.options import EVERYTHING, Filters
from twin_resources.text.identity import content_id
from twin_serving.answering.errors import BudgetSpent
from twin_serving.answering.services import Services

ENGINE_AWAY = Choice("quote", "the language model cannot be reached now, so the author's own sentences answer")
"""Until it is back; why it is away is for those who run it (``GET /readyz``)."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, of whom, and how the answer should be written."""

    call: str
    """Through which call it came: ``ask`` or ``chat``."""
    author: str
    text: str
    mode: Asked = "auto"
    k: int = 6
    filters: Filters = EVERYTHING
    use_rag: bool = True
    model: str | None = None
    max_tokens: int = 256
    temperature: float = 0.3
    seed: int | None = None
    stop: Sequence[str] = ()
    history: Sequence[Mapping[str, str]] = ()
    conversation: str | None = None
    """Which one it is a turn of; None where the client keeps the turns."""
    instruction: str = ""
    """The client's own system message."""
    caller: str = "local"
    """The id of the key that asks."""
    tokens_left: int | None = None
    """What models may still read and write for it today; None for any number."""

    @property
    def drawn_by(self) -> str:
        """What a canary is drawn by: the conversation, or, where the client keeps the turns, whose twin was asked by
        whom and how that began."""
        if self.conversation is not None:
            return self.conversation
        first = next((turn["content"] for turn in self.history if turn["role"] == "user"), self.text)
        return content_id("conversation", self.caller, self.author, first)


def choose(services: Services, question: Question, speaker: str | None) -> Choice:
    """Decide how to answer; see :func:`twin_resources.rag.policy.choose`.

    Args:
        speaker: the adapter that answers the conversation, None for the base.

    Raises:
        BudgetSpent: a model is asked for, and the key that asks spent its tokens of the day.
    """
    if question.tokens_left == 0 and question.mode != "quote":
        if question.mode == "auto" and question.use_rag:
            return Choice("quote", "the tokens that this key may spend in a day are spent")
        raise BudgetSpent(_seconds_to_midnight())
    author = question.author
    away = services.engine.unready() is not None
    if away and speaker is not None and (instead := instead_of_engine(question)):
        return instead
    return policy.choose(
        question.mode,
        question.text,
        use_rag=question.use_rag,
        adapter=None if away else speaker,
        licensed=lambda version: services.rag.licensed(author, version),
    )


def instead_of_engine(question: Question) -> Choice | None:
    """How a question is answered while the engine is away; None where the caller wants a model to write."""
    return ENGINE_AWAY if question.mode == "auto" and question.use_rag else None


def _seconds_to_midnight() -> int:
    now = datetime.now(UTC)
    return 86_400 - (now.hour * 60 + now.minute) * 60 - now.second
