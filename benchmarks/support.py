"""Whether the definition of *supported* tells a true sentence from one that was changed.

From an author's own passages, sentences are reworded without changing what they say, and changed so that they say
something else; the area under the ROC curve says how well the score parts them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from twin_resources.rag.support import SUPPORTED, support
from twin_resources.text.sentences import sentences

_HARMLESS = {
    "don't": "do not",
    "doesn't": "does not",
    "it's": "it is",
    "that's": "that is",
    "can't": "cannot",
    "isn't": "is not",
    "very ": "",
    "really ": "",
    "just ": "",
    "quite ": "",
    "also ": "",
    "however, ": "",
    "therefore": "so",
    "in order to": "to",
    "because": "since",
    "such as": "like",
    "a lot of": "many",
}
_LEADS = ("As I wrote, ", "In short, ", "Here is the point: ", "I would say that ")


@dataclass(frozen=True)
class Case:
    """A sentence as it stands in ``passage``, and another one's sentence for crossing."""

    sentence: str
    passage: str
    other: str
    foreign: str


def cases(passages: Sequence[str], dice: random.Random, count: int) -> list[Case]:
    """Sentences of 8 to 40 words with the passage they stand in."""
    found = []
    for passage in passages:
        spans = [passage[start:end] for start, end in sentences(passage)]
        good = [text for text in spans if 8 <= len(text.split()) <= 40 and not re.search(r"[|`#<>\[\]]", text)]
        for text in good:
            others = [each for each in good if each != text]
            if others:
                found.append((text, passage, dice.choice(others)))
    dice.shuffle(found)
    foreign = [text for text, _, _ in found]
    return [Case(*each, foreign=foreign[-1 - index]) for index, each in enumerate(found[:count])]


def reworded(case: Case, dice: random.Random) -> str:
    """The sentence in slightly other words that say the same."""
    text = case.sentence.replace("’", "'")
    for before, after in _HARMLESS.items():
        text = re.sub(re.escape(before), after, text, flags=re.I)
    clauses = text.split(", ")
    if len(clauses) > 2 and dice.random() < 0.5:
        clauses.pop(dice.randrange(1, len(clauses) - 1))
        text = ", ".join(clauses)
    return dice.choice(_LEADS) + text[:1].lower() + text[1:]


def number_changed(case: Case, dice: random.Random) -> str | None:
    """Another number in its place."""
    numbers = list(re.finditer(r"(?<![\w.])\d+", case.sentence))
    if not numbers:
        return None
    match = dice.choice(numbers)
    return case.sentence[: match.start()] + str(int(match.group()) + dice.randint(1, 90)) + case.sentence[match.end() :]


def name_swapped(case: Case, dice: random.Random) -> str | None:
    """Another name in its place."""
    names = list(re.finditer(r"(?<=[a-z,] )[A-Z][\w-]+", case.sentence))
    if not names:
        return None
    match = dice.choice(names)
    other = dice.choice(
        [name for name in ("Redis", "Kafka", "Berlin", "Maria", "TensorFlow", "Oslo") if name != match.group()]
    )
    return case.sentence[: match.start()] + other + case.sentence[match.end() :]


def negation_changed(case: Case, dice: random.Random) -> str | None:
    """A negation taken out, or put in."""
    without = re.sub(r"\b(?:not|never|no) |n['’]t\b", "", case.sentence, count=1)
    if without != case.sentence:
        return without
    made = re.sub(r"\b(is|are|was|were|can|will|should|must|has|have|does|do)\b", r"\1 not", case.sentence, count=1)
    return made if made != case.sentence else None


def crossed(case: Case, dice: random.Random) -> str | None:
    """The beginning of one sentence with the end of another of the same passage."""
    mine, theirs = case.sentence.split(), case.other.split()
    if len(mine) < 10 or len(theirs) < 10:
        return None
    return " ".join([*mine[: len(mine) // 2], *theirs[len(theirs) // 2 :]])


def foreign(case: Case, dice: random.Random) -> str | None:
    """A true sentence of another document."""
    return case.foreign


CHANGES: dict[str, Callable[[Case, random.Random], str | None]] = {
    "a number changed": number_changed,
    "a name swapped": name_swapped,
    "a negation added or removed": negation_changed,
    "two facts crossed": crossed,
    "a sentence of another document": foreign,
}


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The chance that a true sentence scores above a changed one; a tie counts half (Mann-Whitney U)."""
    one, two = np.array(positive)[:, None], np.array(negative)[None, :]
    return float((one > two).mean() + 0.5 * (one == two).mean())


def measure(passages: Sequence[str], *, seed: int = 1, count: int = 300) -> Iterator[tuple[str, int, float, float]]:
    """For every kind of change, and all together: cases, AUROC, and the share that is taken for supported.

    The first row is of the reworded sentences themselves: cases, 0, and the share that is supported.
    """
    dice = random.Random(seed)
    drawn = cases(passages, dice, count)
    true = [support(reworded(case, dice), [case.passage]).score for case in drawn]
    yield "reworded, still true", len(true), 0.0, float(np.mean(np.array(true) >= SUPPORTED))
    everything: list[float] = []
    for name, change in CHANGES.items():
        changed = [(case, text) for case in drawn if (text := change(case, dice))]
        scores = [support(text, [case.passage]).score for case, text in changed]
        everything += scores
        if scores:
            yield name, len(scores), auroc(true, scores), float(np.mean(np.array(scores) >= SUPPORTED))
    yield "all changes", len(everything), auroc(true, everything), float(np.mean(np.array(everything) >= SUPPORTED))
