"""What the record says of a failure: ours with its reason, nothing of its inside, nothing of a wrong request."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twin_resources.generation.base import GeneratorError, PromptTooLong, QueueFull
from twin_resources.storage.releases import ReleaseError
from twin_serving.answering.errors import AuthorNeeded, NotReady, UnknownAuthor, UnknownModel, failure


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (UnknownModel("x"), None),
        (UnknownAuthor("x"), None),
        (AuthorNeeded("x"), None),
        (PromptTooLong("x"), None),
        (ReleaseError("x"), None),
        (NotReady("search", "the model is loading"), "search is not ready: the model is loading"),
        (QueueFull("3 answers are waiting"), "3 answers are waiting"),
        (GeneratorError("no memory"), "no memory"),
        (
            sa.exc.OperationalError("SELECT secret", {}, Exception()),
            "the database cannot be reached: see `twin doctor`",
        ),
        (RuntimeError("secret"), "An unexpected error; the log has it under this trace_id."),
    ],
)
def test_a_failure_is_kept_with_its_reason_and_without_secrets(error: Exception, kept: str | None) -> None:
    assert failure(error) == kept
