"""Turning text into vectors with any sentence-transformers model."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from twin_resources import models
from twin_resources.settings import Settings


class TokenCounter:
    """Counts tokens as the embedding model will see them; needs no torch, so chunking can use it."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.limit = models.max_tokens(folder)

    @classmethod
    def of(cls, settings: Settings) -> TokenCounter:
        """The counter of the configured embedding model."""
        return _counter(models.resolve(settings.models.embedding, settings))

    def count(self, text: str) -> int:
        """Tokens of ``text``, special ones included."""
        return len(self._tokenizer.encode(text).ids)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Character spans of the tokens of ``text`` without the special ones."""
        return self._tokenizer.encode(text, add_special_tokens=False).offsets


@functools.cache
def _counter(folder: Path) -> TokenCounter:
    return TokenCounter(folder)


class Embedder:
    """Embeds texts; vectors are unit length, float32, shape ``(texts, dimensions)``."""

    def __init__(self, name: str, folder: Path, *, device: str | None = None) -> None:
        from sentence_transformers import SentenceTransformer

        self.name = name
        self.model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        self.model.eval()
        if self.model.device.type == "cuda":
            self.model.half()
        self.dimensions = int(self.model.get_embedding_dimension() or 0)

    @classmethod
    def of(cls, settings: Settings) -> Embedder:
        """The configured embedding model.

        Raises:
            ModelNotFound: it is nowhere to be had.
        """
        return cls.named(settings.models.embedding, settings)

    @classmethod
    def named(cls, name: str, settings: Settings) -> Embedder:
        """Any embedding model by name.

        Raises:
            ModelNotFound: it is nowhere to be had.
        """
        return cls(name, models.resolve(name, settings))

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        """Vectors of ``texts``; batches are formed by length."""
        return self.model.encode(
            list(texts),
            batch_size=batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        ).astype(np.float32)
