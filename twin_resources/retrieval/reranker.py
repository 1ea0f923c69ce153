"""Re-ranking passages with a cross-encoder, where there is one.

No installed package ships a cross-encoder, so without a local one nothing is re-ranked and responses say so.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from twin_resources.config.settings import Settings
from twin_resources.models import hub
from twin_resources.models.loading import sparingly
from twin_resources.retrieval.fusion import unit
from twin_resources.storage.artifacts import ArtifactStore

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 60.0

BLEND_FILE = "blend.json"
"""Beside a trained cross-encoder: ``{"weight": …}``, the learned share of its score in the final order."""


class Scored(Protocol):
    """What a search found, with the score it gave."""

    score: float


class Reranker:
    """Scores (query, passage) pairs with any sentence-transformers cross-encoder.

    ``weight`` in [0, 1] is the share of its score in the final order; the rest is that of the search.
    """

    def __init__(self, name: str, folder: Path) -> None:
        with sparingly():
            from sentence_transformers import CrossEncoder

        self.name = name
        self._model = CrossEncoder(str(folder), local_files_only=True)
        if self._model.device.type == "cuda":
            self._model.half()
        blend = folder / BLEND_FILE
        self.weight = float(json.loads(blend.read_text())["weight"]) if blend.exists() else 1.0

    @classmethod
    def of(cls, settings: Settings) -> Reranker | None:
        """The configured cross-encoder, or None (with a log line) where it is nowhere to be had."""
        if settings.models.reranker is None:
            return None
        try:
            return cls(settings.models.reranker, hub.resolve(settings.models.reranker, settings))
        except hub.ModelNotFound as error:
            log.warning("searching without a re-ranker: %s", error)
            return None

    def scores(self, query: str, passages: Sequence[str], *, budget_ms: int, batch_size: int = 8) -> list[float]:
        """Scores of the leading passages, in order; shorter than ``passages`` when the time budget ran out."""
        end = time.monotonic() + budget_ms / 1000
        found: list[float] = []
        for start in range(0, len(passages), batch_size):
            if start and time.monotonic() > end:
                break
            pairs = [(query, passage) for passage in passages[start : start + batch_size]]
            found.extend(float(score) for score in self._model.predict(pairs, show_progress_bar=False))
        return found

    def blend(self, found: Sequence[Scored], scores: Sequence[float]) -> list[float]:
        """Final scores: ``weight`` of the cross-encoder's and the rest of the search's, each over its own range."""
        return blend([hit.score for hit in found], scores, self.weight)


class Rerankers:
    """The cross-encoders trained on authors' own questions: each loaded once, however many ask at the same time.

    One that does not load, because its artifact is gone or broken, is tried again after :data:`_AGAIN_SECONDS`; until
    then there is none.
    """

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts
        self._loaded: dict[str, tuple[str, Reranker | None, float]] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    def of(self, author: str, artifact: str | None) -> Reranker | None:
        """The cross-encoder in ``artifact``, or None where there is none that loads."""
        with self._lock:
            lock = self._locks[author]
        with lock:
            known, found, at = self._loaded.get(author, (None, None, 0.0))
            if artifact is None:
                self._loaded.pop(author, None)
                return None
            if known != artifact or (found is None and time.monotonic() - at > _AGAIN_SECONDS):
                found = self._load(author, artifact)
                self._loaded[author] = (artifact, found, time.monotonic())
            return found

    def _load(self, author: str, artifact: str) -> Reranker | None:
        try:
            return Reranker(artifact.replace("rerankers/", f"{author}-reranker-"), self._artifacts.folder(artifact))
        except Exception as error:
            log.error(
                "the re-ranker %s of %s does not load, so %s is searched without: %s", artifact, author, author, error
            )
            return None


def blend(searched: Sequence[float], reranked: Sequence[float], weight: float) -> list[float]:
    """``weight`` of ``reranked`` and the rest of ``searched``, each min-max normalised to [0, 1]."""
    return (weight * unit(np.array(reranked)) + (1 - weight) * unit(np.array(searched))).tolist()
