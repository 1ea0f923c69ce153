"""How much what models write sounds like the author: from other people's writing (0) to the author's own (1).

Models are asked to write what held-out documents are about, of which neither a training nor a verifier saw anything.
What each wrote, what the author wrote and what other people write is judged by the same scorer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin_assets.dataset.samples import WHOLE, InstructSample
from twin_resources.retrieval.embedder import Encode
from twin_resources.storage.clean_store import CleanDocument
from twin_resources.style.blind.pairs import Pair
from twin_resources.style.profile import DraftError, Profile, StyleError, build
from twin_resources.style.prose import SHORT, located, parts, readable, word_count
from twin_resources.style.reference import Reference
from twin_resources.style.scoring import Scorer
from twin_resources.style.texture import HABITS, remarks
from twin_resources.text.words import gram_sequence, grams, longest_run

CODE_VERSION = "4"
FEWEST_DOCUMENTS = 4
"""Of fewer held-out documents nothing certain can be said."""
_LEAST_DISTANCE = 0.1
"""Between other people's texts and the author's; where they lie nearer, nothing between them can be told."""
_RUN = 5
"""Words of a run, see :func:`~twin_resources.text.words.gram_sequence`."""
_HABITS = {habit.name: habit for habit in HABITS}
_DRAWS = 2000
_SEED = 5
_SHOWN = 3


@dataclass(frozen=True)
class Prompt:
    """A held-out document: what models are asked to write, and how its author began, in :data:`SHORT` words or more;
    ``own`` as verifiers read it, ``sentences`` as people do."""

    document_id: str
    instruction: str
    own: str
    sentences: tuple[str, ...]


Write = Callable[[tuple[Prompt, ...]], Sequence[str]]
"""What a model writes of each."""


def prompts(held_out: Iterable[InstructSample], texts: Mapping[str, str], limit: int) -> list[Prompt]:
    """One prompt of each of some held-out documents with enough prose, openings before sections; none that shows the
    author's own words, as one for a summary does, or asks for code.

    Args:
        held_out: samples of the test split.
        texts: Markdown of documents by id.
    """
    found: dict[str, Prompt] = {}
    for sample in sorted(held_out, key=lambda each: (each.kind != "opening", each.id)):
        if sample.passages or sample.kind in WHOLE or sample.document_id in found:
            continue
        text = texts.get(sample.document_id, "")
        sentences = located(text)
        first = [sentences[place] for place in parts([each for each, *_ in sentences], SHORT)[0]]
        own = " ".join(each for each, *_ in first)
        if word_count(own) >= SHORT:
            read = tuple(readable(text[start:end]) for _, start, end in first)
            found[sample.document_id] = Prompt(sample.document_id, sample.instruction, own, read)
    return [found[key] for key in sorted(found)][:limit]


def measure(
    author: str,
    documents: Sequence[CleanDocument],
    asked: Sequence[Prompt],
    reference: Reference,
    writers: Mapping[str, Write],
    *,
    encode: Encode | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Figures of each writer; ``measured`` is false, and ``because`` says why, where style cannot be measured.

    Args:
        documents: all of the author's; those of ``asked`` are not shown to the verifiers.
        writers: by name, such as ``base`` or ``adapter + passages``.
        encode: the model whose vectors the reference has, or None.
    """
    held = {each.document_id for each in asked}
    try:
        if len(asked) < FEWEST_DOCUMENTS:
            raise StyleError(f"{len(asked)} held-out documents have {SHORT} words, and {FEWEST_DOCUMENTS} are needed")
        others = [each for each in documents if each.document_id not in held]
        profile = build(author, "", others, reference, encode)
    except StyleError as error:
        return {"measured": False, "because": str(error)}
    scorer = Scorer(profile, reference, encode=encode)
    own = [scorer.score(each.own).score for each in asked]
    floor, ceiling = float(scorer.strangers(SHORT).mean()), float(np.mean(own))
    combined = scorer.worth(SHORT)
    figures = {
        "verifier": {"auc": round(combined.auc, 3), "c@1": round(combined.c_at_1, 3), "counts": combined.counts},
        "floor": round(floor, 4),
        "ceiling": round(ceiling, 4),
        "documents": [each.document_id for each in asked],
    }
    if not combined.counts:
        because = f"verifiers do not tell the author from others well enough (AUC {combined.auc:.2f})"
        return {**figures, "measured": False, "because": because}
    if ceiling - floor < _LEAST_DISTANCE:
        because = "held-out documents of the author sound hardly more like the author than other people's"
        return {**figures, "measured": False, "because": because}
    known = frozenset().union(*(grams(each.text) for each in documents))
    questions = [grams(each.instruction) for each in asked]

    def heard(texts: Sequence[str], raw: Sequence[float | None]) -> dict[str, Any]:
        return _arm(texts, raw, (floor, ceiling), profile, _copied(texts, questions, known))

    arms: dict[str, Any] = {"the author": heard([each.own for each in asked], own)}
    shown = [{"instruction": each.instruction, "the author": each.own} for each in asked[:_SHOWN]]
    for name, write in writers.items():
        texts = list(write(tuple(asked)))
        arms[name] = heard(texts, [_score(scorer, text) for text in texts])
        for row, text in zip(shown, texts, strict=False):
            row[name] = text
        progress(f"{name}: {_told(arms[name], len(texts))}")
    return {**figures, "measured": True, "because": "", "arms": arms, "shown": shown}


def _told(arm: Mapping[str, Any], texts: int) -> str:
    judged = arm["judged"]
    if not judged:
        return f"all of {texts} texts were too short for their style to be judged"
    return f"style {arm['score']:.2f} on {judged} of {texts} texts" + (
        "; the rest was too short to be judged" if judged < texts else ""
    )


def blind_pairs(asked: Iterable[Prompt], write: Write) -> list[Pair]:
    """What the author and a model wrote to each prompt, for readers to tell apart; too short texts are left out."""
    given = tuple(asked)
    found = (
        Pair.of(each.document_id, each.instruction, each.sentences, text)
        for each, text in zip(given, write(given), strict=True)
    )
    return [each for each in found if each is not None]


def _score(scorer: Scorer, text: str) -> float | None:
    """The score of a text; None where it is too short."""
    try:
        return scorer.score(text).score
    except DraftError:
        return None


def _arm(
    texts: Sequence[str],
    raw: Sequence[float | None],
    ends: tuple[float, float],
    profile: Profile,
    copied: Sequence[Sequence[bool | None]],
) -> dict[str, Any]:
    """The figures of one writer; ``by_document`` has None where too little was written to be judged.

    Args:
        copied: of each text, as :func:`_copied` finds them.
    """
    floor, ceiling = ends
    by_document = [None if each is None else (each - floor) / (ceiling - floor) for each in raw]
    judged = np.array([each for each in by_document if each is not None])
    low, high = interval(judged)
    told = [each for runs in copied for each in runs if each is not None]
    return {
        "score": round(float(judged.mean()), 4) if len(judged) else None,
        "low": low,
        "high": high,
        "judged": len(judged),
        "by_document": [None if each is None else round(each, 4) for each in by_document],
        "copied": round(sum(told) / len(told), 4) if told else 0.0,
        "longest_copied": max(map(longest_run, copied), default=0),
        "texture": _texture(texts, profile.habits),
    }


def _copied(
    texts: Sequence[str], questions: Sequence[frozenset[int]], known: frozenset[int]
) -> list[list[bool | None]]:
    """Of each run of words in each text, whether it stands in a document; None where the question has it as well:
    titles are the author's words, and who takes up those of a question does not recite."""
    return [
        [None if run in asked else run in known for run in gram_sequence(text)]
        for text, asked in zip(texts, questions, strict=True)
    ]


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95% interval of a mean over documents, by the bootstrap; (0, 0) of none."""
    if not len(values):
        return 0.0, 0.0
    drawn = np.random.default_rng(_SEED).choice(values, (_DRAWS, len(values)))
    low, high = np.percentile(drawn.mean(axis=1), (2.5, 97.5))
    return round(float(low), 4), round(float(high), 4)


def differences(figures: Mapping[str, Any], arm: str, over: str) -> np.ndarray | None:
    """By how much more one writer sounds like the author than another, of each document on which both wrote enough to
    be heard; None where one of the two did not write."""
    arms = figures.get("arms", {})
    if arm not in arms or over not in arms:
        return None
    pairs = zip(arms[arm]["by_document"], arms[over]["by_document"], strict=True)
    return np.array([mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None])


def gained(figures: Mapping[str, Any], arm: str, over: str) -> tuple[float, float, float] | None:
    """The mean of :func:`differences` with its 95% interval; None where there is too little to compare."""
    found = differences(figures, arm, over)
    if found is None or len(found) < FEWEST_DOCUMENTS:
        return None
    return round(float(found.mean()), 4), *interval(found)


def _texture(texts: Sequence[str], own: np.ndarray) -> list[dict[str, str]]:
    """The habits in which all texts together lie outside the author's own spread, as rows of a table."""
    if len(own) < FEWEST_DOCUMENTS:
        return []
    rows = []
    for each in remarks("\n\n".join(texts), own):
        habit = _HABITS[each.habit]
        written = f"{habit.show(each.draft)} {habit.unit}"
        spread = f"{habit.show(each.low)} to {habit.show(each.high)}"
        rows.append({"habit": habit.name, "written": written, "author": habit.show(each.usual), "spread": spread})
    return rows
