"""Vectors of texts that many tests put into a database."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twin_resources.retrieval.embedder import Embedder

_KNOWN: dict[tuple[str, str], np.ndarray] = {}


def encode(embedder: Embedder, texts: Sequence[str]) -> np.ndarray:
    """As :meth:`.Embedder.encode`, each text once a process; shape ``(texts, dimensions)``."""
    missing = [text for text in dict.fromkeys(texts) if (embedder.name, text) not in _KNOWN]
    if missing:
        _KNOWN.update(zip(((embedder.name, text) for text in missing), embedder.encode(missing), strict=True))
    return np.stack([_KNOWN[embedder.name, text] for text in texts])
