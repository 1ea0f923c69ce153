"""How much a draft sounds like its author, as every way of asking shows it."""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.rag.pipeline import Rag
from twin_resources.storage.clean_store import CleanStore
from twin_resources.style.profile import Profiles, documents_of, folder_of
from twin_resources.style.reference import packaged
from twin_resources.style.scoring import Near, Scorer, Verdict, VoiceScore

_DECIMALS = 4


class Scoring:
    """Scores drafts; an author's verifiers are made once and stay until the author's documents change."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scorers: dict[str, tuple[str, Scorer]] = {}
        self._turn = threading.Lock()

    def score(self, database: sa.Engine, rag: Rag, author: str, text: str) -> dict[str, Any]:
        """The verdict on a draft as JSON: ``score``, ``percentile``, ``words``, ``verifier`` and ``sentences``.

        Raises:
            StyleError: the author wrote too little, or in another language than English.
            DraftError: the draft is too short.
        """
        clean = CleanStore(database)
        scorer = self._scorer(clean, rag, author)
        return verdict_fields(
            scorer.score(text, documents_of(clean, author), lambda sentence: _nearest(rag, author, sentence))
        )

    def _scorer(self, clean: CleanStore, rag: Rag, author: str) -> Scorer:
        reference = packaged()
        embedder = rag.embedder
        profiles = Profiles(
            folder_of(Path(self._settings.home)), clean, reference, model=embedder.name, encode=embedder.encode
        )
        with self._turn:
            key = profiles.key(author)
            known = self._scorers.get(author)
            if known is None or known[0] != key:
                known = key, Scorer(profiles.of(author), reference, encode=embedder.encode)
                self._scorers[author] = known
            return known[1]


def _nearest(rag: Rag, author: str, sentence: str) -> Near | None:
    hits = rag.search(author, sentence, k=1, rerank=False).hits
    return Near(hits[0].title, hits[0].url, hits[0].text, hits[0].score) if hits else None


def verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """A verdict for a program."""
    measure = verdict.measure
    return {
        "score": round(verdict.score, _DECIMALS),
        "percentile": round(verdict.percentile, _DECIMALS),
        "words": verdict.words,
        "verifier": {
            "counts": measure.counts,
            "auc": round(measure.auc, _DECIMALS),
            "c_at_1": round(measure.c_at_1, _DECIMALS),
            "f_05_u": round(measure.f_05_u, _DECIMALS),
            "length": verdict.length,
            "voices": [_voice(each) for each in verdict.voices],
            "remarks": [asdict(each) for each in verdict.remarks],
            "held_out": [asdict(each) for each in verdict.sources],
        },
        "sentences": [{**asdict(each), "score": round(each.score, _DECIMALS)} for each in verdict.sentences],
    }


def _voice(voice: VoiceScore) -> dict[str, Any]:
    measure = voice.measure
    return {
        "name": measure.voice,
        "masked": measure.masked,
        "score": round(voice.score, _DECIMALS),
        "auc": round(measure.auc, _DECIMALS),
        "c_at_1": round(measure.c_at_1, _DECIMALS),
        "f_05_u": round(measure.f_05_u, _DECIMALS),
        "counts": measure.counts,
    }
