"""Where an author sums a document up, and what of the rest of it is shown beside that.

A summary is a section whose heading says so, or a passage that begins with such a word and a colon. Nothing else
counts: what no author called a summary is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from twin_assets.dataset.generators.base import OwnPassage
from twin_resources.text.units import units

WORDS = 300
"""Words of a summary and of what it sums up together, at most, so that a sample is short enough to train on."""
_FEWEST_SHOWN = 60
_SENTENCE = range(6, 41)
"""Words of a sentence that says what a passage is about."""
_LEAST = 2
"""How many times the words of its summary a document has besides, at least."""
_NAMES = """
    tl;?\\ ?dr abstract (?:in\\ |executive\\ )?summary to\\ sum(?:mari[sz]e|\\ up) summing\\ up
    (?:in\\ )?conclusions? in\\ (?:short|brief|a\\ nutshell) wrap(?:ping)?[\\ -](?:it\\ )?up
    (?:the\\ )?(?:key|main)\\ (?:takeaways?|points) takeaways? recap (?:the\\ )?bottom\\ line
    (?:final|closing|concluding)\\ (?:thoughts?|words|remarks) zusammenfassung fazit kurz\\ gesagt
    zusammengefasst (?:en\\ )?résumé en\\ (?:bref|conclusion) pour\\ conclure (?:en\\ )?resumen conclusión
    conclusiones en\\ conclusión riassunto (?:in\\ )?sintesi conclusion[ei] in\\ conclusione samenvatting
    samengevat conclusies? tot\\ slot kortom (?:em\\ )?resumo conclusão conclusões sammanfattning
    slutsats(?:er)? sammanfattningsvis sammendrag oppsummering konklusjon(?:er)? kort\\ (?:sagt|fortalt)
    sammenfatning opsummering konklusion(?:er)? podsumowanie wnioski streszczenie yhteenveto tiivistelmä
    johtopäätökset özet sonuç(?:lar)? итоги? выводы? заключение резюме вкратце 总结 摘要 结论 小结 まとめ 要約 結論
"""
_NAME = "|".join(re.findall(r"(?:\\ |\S)+", _NAMES))
_HEADING = re.compile(rf"[\W\d_]*(?:[ivx]{{1,4}}[.)]\s*)?[\W\d_]*(?:{_NAME})[\W_]*", re.I)
_MARKED = re.compile(rf"[\W_]*(?:{_NAME})[*_\s]*(?:[:：]|\s[–—-]\s)", re.I)


@dataclass(frozen=True)
class SummedUp:
    """What of a document is shown beside its summary, the passages that this is from, and whether it is all of it."""

    text: str
    chunk_ids: tuple[str, ...]
    whole: bool


def found(passages: Sequence[OwnPassage]) -> list[OwnPassage]:
    """The passages of one document; the one that sums it up, where there is one, knows what it sums up."""
    place = next((place for place, each in enumerate(passages) if _sums_up(each)), None)
    if place is None:
        return list(passages)
    rest = [each for each in passages if each is not passages[place] and not each.mostly_code]
    words = len(passages[place].text.split())
    if sum(len(each.text.split()) for each in rest) < max(_FEWEST_SHOWN, _LEAST * words):
        return list(passages)
    shown = _shown(rest, max(_FEWEST_SHOWN, WORDS - words))
    if not shown.text:
        return list(passages)
    return [*passages[:place], replace(passages[place], sums_up=shown), *passages[place + 1 :]]


def _sums_up(passage: OwnPassage) -> bool:
    if not passage.opens or passage.mostly_code:
        return False
    heading = passage.chunk.heading[-1].strip() if passage.starts_section and passage.chunk.heading else ""
    named = heading != passage.chunk.title and _HEADING.fullmatch(heading)
    return bool(named or _MARKED.match(passage.text))


def _shown(passages: Sequence[OwnPassage], words: int) -> SummedUp:
    """The passages whole where there is room for them, else the first sentence of each, else of some, evenly spread."""
    texts = [each.text for each in passages]
    if sum(len(each.split()) for each in texts) <= words:
        return SummedUp("\n\n".join(texts), tuple(each.chunk.id for each in passages), True)
    begins = [(each.chunk.id, first) for each in passages if (first := _first_sentence(each.text))]
    count = len(begins)
    while True:
        chosen = [begins[place * len(begins) // count] for place in range(count)]
        if sum(len(text.split()) for _, text in chosen) <= words:
            return SummedUp("\n\n".join(text for _, text in chosen), tuple(key for key, _ in chosen), False)
        count -= 1


def _first_sentence(text: str) -> str:
    """The first sentence that says something; empty where there is none."""
    found = (text[unit.start : unit.end] for unit in units(text) if unit.kind == "sentence")
    return next((each for each in found if len(each.split()) in _SENTENCE), "")
