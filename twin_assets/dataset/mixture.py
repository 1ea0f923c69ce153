"""A general instruct set, mixed into an author's samples by share: an adapter forgets less of what its base can.

Rehearsal of general instructions keeps a fine-tuned model able to follow them (Scialom et al. 2022, arXiv:2205.12393).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.quality import reading
from twin_resources.rag import prompt
from twin_resources.suite.general import is_held_by
from twin_resources.text.identity import content_id, share_of


def general_rows(tokenizer: Any, file: Path, own: int, share: float, max_tokens: int) -> list[Encoded]:
    """Samples of anybody's dataset in tokens, as many as make up a share of the training.

    They are asked as the base is asked, in nobody's name, and drawn by their hash; one that does not fit whole is left
    out, and so is what the file keeps for validation or test, and what the evaluation's general set holds.

    Args:
        file: Alpaca, ShareGPT, ChatML or another form that ``twin check-dataset`` reads.
        own: tokens of the author's samples.
        share: of all tokens, in (0, 1).

    Raises:
        DatasetUnreadable: the file is missing, is no dataset, or holds no sample to learn from.
    """
    wanted = own * share / (1 - share)
    found = [sample for sample in reading.samples([file]) if sample.split == "train" and not sample.silent]
    found = [sample for sample in found if not is_held_by(sample.instruction, sample.answer)]
    if not found:
        raise reading.DatasetUnreadable(
            f"{file}: no sample to learn from in it",
            "give a file with a training split; one called validation or test, or in a folder of that name, is none",
        )
    found.sort(key=lambda sample: share_of(content_id("general", sample.instruction, *sample.context, sample.answer)))
    rows: list[Encoded] = []
    taken = 0
    for sample in found:
        if taken >= wanted:
            break
        asked = "\n\n".join((sample.instruction, *sample.context))
        text = prompt.render(tokenizer, prompt.messages(asked))
        row = causal.encode(tokenizer, text, sample.answer, max_tokens, whole=True)
        if row is not None:
            rows.append(row)
            taken += len(row.ids)
    return rows
