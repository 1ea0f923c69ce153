"""Dividing documents between training, validation and test, the same way for ever.

Each document has a **place** in [0, 1), given once by its own hash and remembered: the lowest are test documents,
whatever learns. Documents that share text share a place. Where two that were placed apart turn out to share text, the
lower place wins: the other document is left out of what learns, for good, see :class:`Place`. Why it is so, and what
it costs: ``docs/decisions/0013-splits-that-stay.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from twin_resources.storage.clean_store import Writing
from twin_resources.storage.datasets import Place, Split
from twin_resources.text.identity import share_of

By = Literal["hash", "time"]

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.1
QUESTIONS_TEST, QUESTIONS_VALIDATION = 0.25, 0.15
"""Shares of the re-ranker. A question weighs more than a sample, so more documents are kept for testing; they are
those of the datasets' splits and more, so what no adapter learns from no re-ranker learns from either."""
LEARNED = QUESTIONS_TEST + QUESTIONS_VALIDATION
"""From this place on everything that learns may learn from a document."""
LARGE = 0.2
"""Documents that share text and are more than this share of all of an author's are learned from, whatever their hash:
as test documents they would leave too little to learn from."""
FEWEST_TEST, TEST_OF_FEW = 8, 5
"""Of few documents every fifth is a test document, until there are eight: an interval over fewer says little."""
FEWEST_VALIDATION, VALIDATION_OF_FEW = 3, 10
_MOST = 2
"""So many times its share a split may get by chance; what is beyond is learned from."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def position(document_id: str) -> float:
    """A number in [0, 1) that depends on the document alone."""
    return share_of(f"split/{document_id}")


def split_at(place: float, test: float = TEST_SHARE, validation: float = VALIDATION_SHARE) -> Split:
    """The split of a place, of which the lowest share is ``test`` and the next ``validation``."""
    return "test" if place < test else "validation" if place < test + validation else "train"


def split_of(place: Place, test: float = TEST_SHARE, validation: float = VALIDATION_SHARE) -> Split | None:
    """The split of a document; None where it is left out, because it shared text with one of another split."""
    mine = split_at(place.place, test, validation)
    return mine if mine == split_at(place.lowest, test, validation) else None


def part_of(place: Place) -> Split | None:
    """What the re-ranker may do with the questions of a document; None for nothing."""
    return split_of(place, QUESTIONS_TEST, QUESTIONS_VALIDATION)


def teaches(category: str, url: str) -> bool:
    """Whether samples are made of a document; of code they are made of its documentation alone."""
    return category != "code" or url.lower().endswith((".md", ".markdown"))


def settle(writings: Iterable[Writing], known: Mapping[str, Place], by: By = "hash") -> dict[str, Place]:
    """The place of each document, from those that are remembered and those that share text with it.

    Of a document without a place the hash decides, or its date. A split that is too small is filled up from those that
    get their place now, never from others, so that no document ever changes sides; one that is too large gets none.

    Args:
        writings: all current documents of an author that are used, and those left out as repeating one.
        known: the places remembered so far.
        by: what decides on new documents: their hash, or how new they are.
    """
    mine = sorted(writings, key=lambda each: each.document_id)
    places: dict[str, Place] = {}
    fresh: list[list[Writing]] = []
    for group in _sharing(mine):
        lowest = min((known[each.document_id].lowest for each in group if each.document_id in known), default=None)
        if lowest is None:
            fresh.append(group)
            continue
        for each in group:
            before = known.get(each.document_id, Place(each.document_id, lowest, lowest))
            places[each.document_id] = Place(each.document_id, before.place, lowest)
    for key, place in _placed(fresh, mine, places, by).items():
        places[key] = Place(key, place, place)
    return places


def assign(document_ids: Iterable[str]) -> dict[str, Split]:
    """The splits of documents that share nothing, all of them new."""
    writings = (Writing(key, used=True, category="articles", url="") for key in set(document_ids))
    return {key: split_at(place.place) for key, place in settle(writings, {}).items()}


def _sharing(writings: Sequence[Writing]) -> list[list[Writing]]:
    """Documents in groups that share text, or a repository, the groups in the order of their lowest id."""
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        while (above := leader.setdefault(key, key)) != key:
            leader[key] = leader[above]
            key = above
        return key

    for each in writings:
        shared = (each.duplicate_of, each.repository and f"repository/{each.repository}")
        for other in filter(None, shared):
            leader[find(other)] = find(each.document_id)
    groups: dict[str, list[Writing]] = {}
    for each in writings:
        groups.setdefault(find(each.document_id), []).append(each)
    return list(groups.values())


def _placed(
    fresh: Sequence[Sequence[Writing]], everything: Sequence[Writing], known: Mapping[str, Place], by: By
) -> dict[str, float]:
    """Places of groups that have none, by document id."""
    counted = {each.document_id for each in everything if each.used and teaches(each.category, each.url)}
    total = len(counted)
    hashes = {id(group): position(group[0].document_id) for group in fresh}
    small = [group for group in fresh if len(group) == 1 or len(group) <= LARGE * len(everything)]
    chosen = {id(group): LEARNED + (1 - LEARNED) * hashes[id(group)] for group in fresh}
    if by == "time":
        begin = TEST_SHARE + VALIDATION_SHARE
        chosen |= {id(group): begin + (1 - begin) * hashes[id(group)] for group in small}
        small.sort(key=lambda group: (_newest(group), -hashes[id(group)]), reverse=True)
    else:
        chosen |= {id(group): hashes[id(group)] for group in small}
        small.sort(key=lambda group: hashes[id(group)])
    sizes = {id(group): sum(each.document_id in counted for each in group) for group in fresh}
    remembered = [split_of(place) for key, place in known.items() if key in counted]
    for split, start, width, least in (
        ("test", 0.0, TEST_SHARE, _least(total, FEWEST_TEST, TEST_OF_FEW)),
        ("validation", TEST_SHARE, VALIDATION_SHARE, _least(total, FEWEST_VALIDATION, VALIDATION_OF_FEW)),
    ):
        wanted = max(least, round(width * total)) if by == "time" else least
        most = max(wanted, math.ceil(_MOST * width * total))
        have = remembered.count(split)
        for group in small:
            key = id(group)
            if split_at(chosen[key]) == split:
                if have + sizes[key] > most:
                    chosen[key] = LEARNED + (1 - LEARNED) * hashes[key]
                else:
                    have += sizes[key]
        for group in small:
            key = id(group)
            if have < wanted and 0 < sizes[key] <= max(1, wanted - have) and split_at(chosen[key]) == "train":
                chosen[key] = start + width * hashes[key]
                have += sizes[key]
    return {each.document_id: chosen[id(group)] for group in fresh for each in group}


def _least(total: int, most: int, of_few: int) -> int:
    """How many of so many documents a split has at least."""
    return min(most, math.ceil(total / of_few)) if total > 2 else 0


def _newest(group: Sequence[Writing]) -> datetime:
    return max((each.published_at or _LONG_AGO for each in group), default=_LONG_AGO)
