"""Some samples a second time with their instruction in other words, so that it is not one phrasing that is learned.

The answer stays what it was. Such a sample names the one it repeats (``paraphrase_of``), there is at most one of each,
and there are none in what is held out: nothing is measured on them.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from twin_assets.dataset.generators import extractive
from twin_assets.dataset.generators.base import OwnPassage, Rephrase
from twin_assets.dataset.samples import QUESTION, InstructSample
from twin_resources.quality.likeness import ALONE
from twin_resources.text.identity import bucket, content_id, share_of
from twin_resources.text.languages import language_of
from twin_resources.text.words import plain_words


def added(
    samples: Sequence[InstructSample],
    passages: Mapping[str, OwnPassage],
    share: float,
    dropped: Counter[str],
    rephrase: Rephrase | None = None,
) -> list[InstructSample]:
    """``samples``, some of them followed by themselves in other words. Which ones are drawn, and which of several
    phrasings is taken, follows from their hash.

    Args:
        passages: what samples were made of, by chunk id.
        share: of the training samples without passages whose answer is an author's, in [0, 1].
        rephrase: a language model, asked first.
    """
    drawn = [each for each in samples if _may(each) and share_of(f"paraphrase/{each.id}") < share]
    said = rephrase(drawn, passages, dropped) if rephrase and drawn else {}
    found: list[InstructSample] = []
    wanted = {each.id for each in drawn}
    for sample in samples:
        found.append(sample)
        if sample.id not in wanted:
            continue
        for words in (said.get(sample.id), _phrased(sample, passages[sample.chunk_ids[0]])):
            if words and plain_words(words) != plain_words(sample.instruction):
                made = content_id("sample", words, sample.answer)
                found.append(replace(sample, id=made, instruction=words, paraphrase_of=sample.id))
                break
    return found


def with_original(
    samples: Sequence[InstructSample], out: Collection[str], dropped: Counter[str]
) -> list[InstructSample]:
    """``samples`` without those in other words whose original is not there any more, or is to be left ``out``: what
    somebody rejected or edited was wrong in other words too."""
    there = {each.id for each in samples} - set(out)
    kept = [each for each in samples if not each.paraphrase_of or each.paraphrase_of in there]
    dropped["original_left_out"] += len(samples) - len(kept)
    return kept


def _may(sample: InstructSample) -> bool:
    """Whether a sample may be said in other words; a short answer is compared with its instruction, so it may not."""
    taught = sample.split == "train" and not sample.passages and sample.kind != QUESTION
    return taught and len(sample.answer.split()) >= ALONE


def _phrased(sample: InstructSample, passage: OwnPassage) -> str:
    """The instruction by another template in the language of its passage; empty where its kind has none."""
    ask = next((each for each in extractive.asks(passage).values() if each.kind == sample.kind), None)
    kind = "parts" if ask and ask.in_parts else sample.kind
    templates = _phrasings().get(language_of(passage.text) or "en", _phrasings()["en"]).get(kind, ())
    if not templates:
        return ""
    given = sample.instruction.partition("\n\n")[2] if kind in ("parts", "summarise", "rewrite") else ""
    head = templates[bucket(f"phrasing/{sample.id}", len(templates))].format(**(ask.values if ask else {}))
    return f"{head}\n\n{given}" if given else head


@functools.cache
def _phrasings() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Templates by language (ISO 639-1) and kind."""
    return yaml.safe_load(Path(__file__).with_name("phrasings.yaml").read_text(encoding="utf-8"))
