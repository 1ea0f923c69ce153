"""A sentence-transformers model as one graph, for questions that somebody waits for.

Called module by module, a small model lets go of the interpreter's lock and asks for it again some hundred times, and
each time waits for whichever thread has it. As one graph it asks once.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

_SAME = 0.02
"""By how much a number of a unit vector may differ between the graph and the modules, which is their rounding."""
_TEXTS = (["Why?", "a longer one, so that the other is padded"], ["sea"], ["sea " * 40, "A light", "was kept. " * 9])
"""Batches of several shapes: the graph is made of the first and compared on the others."""

_log = logging.getLogger(__name__)


class TracedModel:
    """Embeds a few short texts on a CPU with a sentence-transformers model.

    The graph is made by ``torch.jit.trace`` and compared with the modules on batches of other shapes; where it can't be
    made, or says something else, the modules are called as ever.

    Args:
        model: the model, in the type it is to compute in.
        shapes: how texts are padded, as sentence-transformers' ``processing_kwargs``.
        together: so many texts of like length go through at once: of more, the short ones would be padded to the
            longest, and a CPU is no quicker at them.
    """

    def __init__(self, model: Any, shapes: Mapping[str, Any], *, together: int) -> None:
        import torch

        self._model = model
        self._shapes = shapes
        self._together = together
        self._prompt = model.prompts.get("query")
        features = self._features(_TEXTS[0])
        self._names = tuple(name for name, value in features.items() if isinstance(value, torch.Tensor))
        self._forward: Callable[..., torch.Tensor] = _modules(
            model, self._names, {name: value for name, value in features.items() if name not in self._names}
        )
        with torch.inference_mode():
            self._forward = self._traced(*(features[name] for name in self._names))

    @property
    def traced(self) -> bool:
        """Whether there is a graph."""
        import torch

        return isinstance(self._forward, torch.jit.ScriptModule)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of questions, float32, shape ``(texts, dimensions)``."""
        import torch

        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        parts = np.array_split(order, -(-len(texts) // self._together))
        with torch.inference_mode():
            found = [self._vectors(self._forward, [texts[int(index)] for index in part]).numpy() for part in parts]
        vectors = np.concatenate(found)
        vectors[order] = vectors.copy()
        return vectors

    def _features(self, texts: Sequence[str]) -> dict[str, Any]:
        return self._model.preprocess(list(texts), prompt=self._prompt, task="query", processing_kwargs=self._shapes)

    def _vectors(self, forward: Callable[..., torch.Tensor], texts: Sequence[str]) -> torch.Tensor:
        features = self._features(texts)
        return forward(*(features[name] for name in self._names))

    def _traced(self, *tensors: torch.Tensor) -> Callable[..., torch.Tensor]:
        import torch

        name = type(self._model).__name__
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                graph = torch.jit.freeze(torch.jit.trace(self._forward, tensors, check_trace=False))
            apart = max(
                float((self._vectors(graph, texts) - self._vectors(self._forward, texts)).abs().max())
                for texts in _TEXTS[1:]
            )
        except Exception as error:  # whatever somebody's model does that can't be traced
            _log.info("%s is called module by module, as it can't be traced: %s", name, error)
            return self._forward
        if apart > _SAME:
            _log.info("%s is called module by module, as it differs by %.3f when traced", name, apart)
            return self._forward
        return graph


def _modules(model: Any, names: Sequence[str], settled: Mapping[str, Any]) -> Any:
    """The model as a module from its tensors, in the order of ``names``, to unit vectors in float32."""
    import torch

    dimensions = model.get_embedding_dimension()

    class Modules(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            features = {**settled, **dict(zip(names, tensors, strict=True))}
            vectors = self.model(features, task="query")["sentence_embedding"][:, :dimensions]
            return torch.nn.functional.normalize(vectors.float())

    return Modules().eval()
