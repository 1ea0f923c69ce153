"""The input embeddings of a language model, read row by row from its file; the model itself is not loaded.

The base models of today were trained on many languages, and words that mean the same lie near each other among their
input embeddings, whatever their language.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_BLOCKS, _ROWS = 64, 256
"""The mean of all rows is estimated from this many blocks of this many rows."""


class TokenVectors:
    """Rows of the embedding matrix by token.

    Args:
        folder: a model saved as safetensors with its ``tokenizer.json``.

    Raises:
        ValueError: the folder holds no such file or no embedding matrix.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        if not (folder / "tokenizer.json").exists():
            raise ValueError(f"{folder} holds no tokenizer.json")
        self._rows = _embedding_of(folder)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        self._unknown = self._tokenizer.token_to_id(unknown) if unknown else None
        count = int(self._rows.get_shape()[0])
        starts = np.linspace(0, max(0, count - _ROWS), _BLOCKS, dtype=int)
        blocks = [self._rows[int(start) : int(start) + _ROWS].float().numpy() for start in dict.fromkeys(starts)]
        self._mean = np.concatenate(blocks).mean(axis=0)

    def tokens(self, word: str) -> list[int]:
        """The tokens of a word as it stands behind a space; none of a word that holds what the model cannot read."""
        found = self._tokenizer.encode(f" {word}", add_special_tokens=False).ids
        return [] if self._unknown in found else found

    def unit(self, tokens: Sequence[int]) -> np.ndarray:
        """The vectors of tokens, moved to the mean of all and of length 1, shape ``(tokens, dimensions)``."""
        rows = [self._rows[token : token + 1].float().numpy()[0] for token in tokens]
        moved = np.stack(rows) - self._mean if rows else np.zeros((0, len(self._mean)), dtype=np.float32)
        return moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)


def _embedding_of(folder: Path) -> Any:
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        opened: Any = safe_open(path, "pt")
        for key in opened.keys():  # noqa: SIM118 - not a mapping
            if key.endswith("embed_tokens.weight"):
                return opened.get_slice(key)
    raise ValueError(f"{folder} holds no safetensors file with the input embeddings")
