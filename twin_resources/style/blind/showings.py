"""Shows readers pairs of texts, and takes which of the two they hold for the author's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from twin_resources.errors import TwinError
from twin_resources.storage.calls.blind_tests import BlindTests, Showing, Side
from twin_resources.storage.reports import Reports
from twin_resources.style.blind.pairs import Pair, pairs_in
from twin_resources.text.identity import content_id

NO_PAIRS = (
    "No texts of this version lie beside the author's: it was evaluated before there were blind tests, or no held-out "
    "document has a hundred words of prose. `twin run --select 'key:\"reports/style\"'` looks again."
)
ALL_SEEN = "You were shown every text of the author that this version wrote beside. Other readers can go on."


class BlindTestError(TwinError):
    """There is no such showing."""


@dataclass(frozen=True)
class Shown:
    """Two texts; nothing in it tells which is whose."""

    id: str
    instruction: str
    a: str
    b: str


@dataclass(frozen=True)
class Turn:
    """What a reader is asked next; ``shown`` is None where nothing is left, and ``because`` says why.

    ``answered`` of ``total`` pairs of the version are done or hold a text that the reader has seen.
    """

    version: str
    shown: Shown | None
    because: str
    answered: int
    total: int


class Showings:
    """The blind tests of a database.

    Args:
        dice: draws pairs and sides; by default from the system, so that nobody can foresee them.
    """

    def __init__(self, engine: sa.Engine, dice: random.Random | None = None) -> None:
        self.tests = BlindTests(engine)
        self._reports = Reports(engine)
        self._dice = dice or random.SystemRandom()

    def pairs(self, author_id: str, version: str) -> Sequence[Pair]:
        """The pairs of a version, as its newest style report holds them."""
        report = self._reports.newest(author_id, "style", version)
        return pairs_in(report.metrics) if report else ()

    def turn(self, author_id: str, version: str, reader: str) -> Turn:
        """What a reader is asked next on a version.

        The same until it is answered. A document of which the reader was shown the author's text, beside whatever
        version, is not shown again: they know it.

        Args:
            reader: an opaque token that the reader keeps; only its hash is stored.
        """
        name, pairs = _hashed(author_id, reader), {each.id: each for each in self.pairs(author_id, version)}
        while True:
            seen = self.tests.documents(author_id, name)
            waiting = next((each for each in self.tests.open(author_id, version, name) if each.pair_id in pairs), None)
            fresh = [each for each in pairs.values() if each.document_id not in seen]
            answered = len(pairs) - len(fresh)
            if waiting:
                shown = _shown(waiting, pairs[waiting.pair_id])
                return Turn(version, shown, "", answered - 1, len(pairs))
            if not fresh:
                return Turn(version, None, ALL_SEEN if pairs else NO_PAIRS, answered, len(pairs))
            pair = self._dice.choice(fresh)
            drawn = Showing(
                id=f"{self._dice.getrandbits(96):024x}",
                version=version,
                pair_id=pair.id,
                document_id=pair.document_id,
                own_side=self._dice.choice(("a", "b")),
                choice=None,
            )
            if not self.tests.show(author_id, name, drawn):
                pairs = {key: each for key, each in pairs.items() if each.document_id != pair.document_id}

    def answer(self, author_id: str, showing_id: str, reader: str, choice: Side) -> Showing:
        """Take an answer; the first one to a showing stands.

        Raises:
            BlindTestError: the reader was not shown that.
        """
        found = self.tests.answer(author_id, _hashed(author_id, reader), showing_id, choice)
        if found is None:
            raise BlindTestError(
                f"this reader has no showing {showing_id!r}", "ask for the next pair with GET /blind-tests"
            )
        return found


def _hashed(author_id: str, reader: str) -> str:
    return content_id("blind-reader", author_id, reader)


def _shown(showing: Showing, pair: Pair) -> Shown:
    texts = (pair.own, pair.written) if showing.own_side == "a" else (pair.written, pair.own)
    return Shown(showing.id, pair.instruction, *texts)
