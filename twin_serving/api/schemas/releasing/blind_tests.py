"""Blind tests: two texts of which one is the author's, what a reader takes for it, and what the answers show."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from twin_resources.storage.calls.blind_tests import Side
from twin_serving.api.schemas.base import AuthorId, In, Out, Text

READER = r"^[A-Za-z0-9_-]{16,64}$"
"""An opaque token: too long to be made up or to be a name."""


class ShownOut(Out):
    """Two texts on one subject, one by the author and one by a version; which is whose is told with the answer."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    instruction: str = Field(description="what both were written to")
    a: str
    b: str


class TurnOut(Out):
    """What a reader is asked next: `shown` is null where nothing is left, and `because` says why."""

    author: str
    version: str
    shown: ShownOut | None
    because: str
    answered: int = Field(description="pairs of the version that the reader is done with, out of `total`")
    total: int


class BlindAnswerIn(In):
    """Which of the two a reader takes for the author's."""

    author: AuthorId | None = None
    reader: Annotated[str, Field(pattern=READER, description="the token that the pair was asked for with")]
    shown: Annotated[Text, Field(min_length=1, max_length=64, description="`id` of what was shown")]
    choice: Side


class StandingOut(Out):
    """How often readers found the author, after some number of answers."""

    model_config = ConfigDict(from_attributes=True)

    right: int
    answers: int
    share: float | None = Field(description="of the answers that are right; 0.5 is guessing, null without any")
    low: float = Field(description="lower end of the 95% confidence sequence, which holds at all times together")
    high: float


class BlindResultOut(StandingOut):
    """What the answers on a version show up to now."""

    version: str
    aliases: list[str]
    pairs: int = Field(description="pairs that readers can be shown")
    e_value: float = Field(description="how much the answers speak against guessing; 20 refutes it at the level of 5%")
    p_value: float = Field(description="against guessing; holds however often it is looked at")
    path: list[StandingOut] = Field(description="how it stood after some of the answers, evenly spread")


class BlindResultsOut(Out):
    """The candidate, the champion, the one before it, and every version with answers; the newest first."""

    author: str
    level: float = Field(description="of the confidence sequences")
    results: list[BlindResultOut]


class BlindAnswerOut(Out):
    """Which text was the author's, and what all answers on the version show now."""

    shown: str
    choice: Side = Field(description="the first answer to it, which stands")
    own: Side
    right: bool
    result: BlindResultOut
