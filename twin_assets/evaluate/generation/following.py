"""Whether an adapter still does what it is told: instructions of which a program can tell, put as a reader would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin_assets.evaluate.metrics import paired_shares
from twin_resources.models import causal
from twin_resources.rag import prompt
from twin_resources.rag.echo import without_echo
from twin_resources.suite.instructions import Instruction, instructions

_AT_ONCE = 24
"""Instructions that are answered side by side, those of like room together."""
_SHOWN = 5


@dataclass(frozen=True)
class Reply:
    """What a model made of an instruction, and whether it ``followed`` that."""

    text: str
    followed: bool


def chosen(limit: int) -> Sequence[Instruction]:
    """So many instructions, spread over short and long ones; the first set is part of each larger one's order."""
    every = instructions()
    if limit >= len(every):
        return every
    return [every[place * len(every) // limit] for place in range(limit)]


def replies(model: Any, tokenizer: Any, asked: Sequence[Instruction], author: str) -> list[Reply]:
    """The likeliest answer of a model to each instruction, asked as a reader asks; it ends where it would be ended
    before a reader."""
    found = []
    for start in range(0, len(asked), _AT_ONCE):
        turn = asked[start : start + _AT_ONCE]
        turns = [prompt.messages(each.asked, author=author) for each in turn]
        given = [tokenizer(prompt.render(tokenizer, each), add_special_tokens=False)["input_ids"] for each in turns]
        room = max(each.tokens for each in turn)
        written = causal.continued(model, given, room, tokenizer.pad_token_id, tokenizer.eos_token_id)
        for each, ids in zip(turn, written, strict=True):
            found.append(_reply(each, tokenizer.decode(ids[: each.tokens], skip_special_tokens=True), len(ids)))
    return found


def _reply(asked: Instruction, text: str, tokens: int) -> Reply:
    cut = min((place for mark in prompt.STOP if (place := text.find(mark)) >= 0), default=len(text))
    ended = cut < len(text) or tokens < asked.tokens
    answer = without_echo(asked.asked, text[:cut])
    return Reply(answer.strip(), asked.is_followed_by(answer, ended=ended))


def figures(
    asked: Sequence[Instruction], given: Mapping[str, Sequence[Reply]], candidate: str
) -> dict[str, Any] | None:
    """How many instructions were followed; None where none was put.

    Args:
        given: replies of each model; ``base`` and ``candidate`` among them.

    Returns:
        how many ``instructions`` there were, how many each of ``models`` followed, by how much the share of
        ``candidate`` lies above the base's (``difference``) with its 95% ``interval``, paired; and some that only one
        of the two followed (``shown``).
    """
    if not asked:
        return None
    base, mine = ([each.followed for each in given[name]] for name in ("base", candidate))
    difference, low, high = paired_shares(base, mine)
    apart = sorted((was < does, place) for place, (was, does) in enumerate(zip(base, mine, strict=True)) if was != does)
    return {
        "candidate": candidate,
        "instructions": len(asked),
        "models": {name: sum(each.followed for each in replies) for name, replies in given.items()},
        "difference": difference,
        "interval": [low, high],
        "shown": [
            {"instruction": asked[place].asked, "base": given["base"][place].text, "twin": given[candidate][place].text}
            for _, place in apart[:_SHOWN]
        ],
    }
