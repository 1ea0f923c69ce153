"""What keeps a question from being answered, and what the record says of it."""

from __future__ import annotations

from sqlalchemy import exc

from twin_resources.errors import TwinError
from twin_resources.generation.base import GeneratorError, PromptTooLong
from twin_resources.runtime.places import Busy
from twin_resources.storage.artifacts import ArtifactError
from twin_resources.storage.calls.interactions import InteractionError
from twin_resources.storage.lineage import LineageError
from twin_resources.storage.releases import ReleaseError

DATABASE_GONE = "the database cannot be reached: see `twin doctor`"
UNEXPECTED = "An unexpected error; the log has it under this trace_id."


class NotReady(TwinError):
    """A part that the call needs is not there yet; try again in ``retry_after`` seconds."""

    def __init__(self, component: str, reason: str, retry_after: int = 3) -> None:
        super().__init__(f"{component} is not ready: {reason}")
        self.component = component
        self.reason = reason
        self.retry_after = retry_after


class UnknownModel(TwinError):
    """No model of this name, or one that may not be used; the message names those that exist."""


class UnknownAuthor(TwinError):
    """No author of this id is configured; the message names those that are."""


class SourceConfigured(TwinError):
    """The source stands in ``twin.yaml``, where it has to be taken out."""


class AuthorNeeded(TwinError):
    """One of several authors has to be named."""


class BudgetSpent(TwinError):
    """The tokens that a key may spend in a day are spent; there are new ones in ``retry_after`` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "The tokens that this key may spend in a day are spent: ask in mode quote, which takes none, or after "
            "midnight in UTC."
        )
        self.retry_after = retry_after


def failure(error: Exception) -> str | None:
    """What the record of a call says of an error, and no secret of ours; None where the request was wrong, or refused
    because others wait, which the record would only make worse."""
    match error:
        case UnknownModel() | UnknownAuthor() | AuthorNeeded() | PromptTooLong() | Busy() | BudgetSpent():
            return None
        case ReleaseError() | LineageError() | InteractionError():
            return None
        case NotReady() | GeneratorError() | ArtifactError():
            return str(error)
        case exc.OperationalError() | exc.TimeoutError():
            return DATABASE_GONE
        case _:
            return UNEXPECTED
