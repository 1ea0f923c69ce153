"""Re-ranking passages with a cross-encoder, where there is one.

No installed package ships a cross-encoder, so without a local one nothing is re-ranked and responses say so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from twin_resources import models
from twin_resources.settings import Settings

log = logging.getLogger(__name__)


class Reranker:
    """Scores (query, passage) pairs with any sentence-transformers cross-encoder."""

    def __init__(self, name: str, folder: Path) -> None:
        from sentence_transformers import CrossEncoder

        self.name = name
        self._model = CrossEncoder(str(folder), local_files_only=True)

    @classmethod
    def of(cls, settings: Settings) -> Reranker | None:
        """The configured cross-encoder, or None (with a log line) where it is nowhere to be had."""
        if settings.models.reranker is None:
            return None
        try:
            return cls(settings.models.reranker, models.resolve(settings.models.reranker, settings))
        except models.ModelNotFound as error:
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
