"""Turning text into vectors with any sentence-transformers model."""

from __future__ import annotations

import copy
import functools
import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController
from tokenizers import Tokenizer

from twin_resources.config.settings import Settings
from twin_resources.models import hub, precision
from twin_resources.models.loading import sparingly, uncollected
from twin_resources.retrieval.traced import TracedModel
from twin_resources.text.identity import content_id

T = TypeVar("T")
Encode = Callable[[Sequence[str]], np.ndarray]
"""What :meth:`Embedder.encode` does: vectors of unit length, shape ``(texts, dimensions)``."""
_ENDING_SECONDS = 10.0
_SHAPES = {"text": {"pad_to_multiple_of": 8}}
"""Texts are padded to few lengths: for each new shape of a batch the library compiles kernels and keeps them."""
TOGETHER = 5
"""At most so many questions are embedded together with those that are foreseen. Each more takes as long as the one
before it, and whoever asked first waits for all."""
_FEW = 16
"""Up to so many questions are embedded by one thread: several would wait for one another longer than they work, and
take the cores that search and Postgres need."""
REMEMBERED = 4096
"""Questions whose vectors an embedder keeps, 6 MB of the packaged model's."""


class TokenCounter:
    """Counts tokens as the embedding model will see them; needs no torch, so chunking can use it."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.limit = hub.max_tokens(folder)

    @classmethod
    def of(cls, settings: Settings) -> TokenCounter:
        """The counter of the configured embedding model."""
        return _counter(hub.resolve(settings.models.embedding, settings))

    def count(self, text: str) -> int:
        """Tokens of ``text``, special ones included."""
        return len(self._tokenizer.encode(text).ids)

    def is_word(self, word: str) -> bool:
        """Whether the model knows ``word`` as a whole: then it is a common word of its language, and no misspelling."""
        return len(self._tokenizer.encode(word, add_special_tokens=False).ids) == 1

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Character spans of the tokens of ``text`` without the special ones."""
        return self._tokenizer.encode(text, add_special_tokens=False).offsets


def stop_pool(pool: Mapping[str, Any]) -> None:
    """End the processes of a pool. The library waits without end for one that does not heed its signal."""
    processes = pool["processes"]
    for each in processes:
        each.terminate()
    for each in processes:
        each.join(_ENDING_SECONDS)
        if each.is_alive():
            each.kill()
            each.join()
        each.close()
    pool["input"].cancel_join_thread()
    for queue in (pool["input"], pool["output"]):
        queue.close()


@functools.cache
def _counter(folder: Path) -> TokenCounter:
    return TokenCounter(folder)


class Asked:
    """Questions that several threads ask at once and again: embedded together, and kept."""

    dimensions: int

    def __init__(self) -> None:
        self._turn, self._entry = threading.Lock(), threading.Lock()
        self._waiting: list[_Call] = []
        self._foreseen: dict[str, str] = {}
        self._asked: dict[str, np.ndarray] = {}

    def encode_questions(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of questions; a model with a prompt for questions gets it.

        Those of the last :data:`REMEMBERED` questions are kept: evaluation asks the same ones in several ways, best
        after embedding them all at once. Threads take turns, as one call uses all cores; whoever has the turn embeds
        what all that wait for it ask, in one batch (flat combining, Hendler et al. 2010).
        """
        call = _Call({content_id(text): text for text in texts})
        with self._entry:
            call.vectors = self._recalled(call.asked)
            if not call.done:
                self._waiting.append(call)
        if not call.done:
            with self._turn:
                if not call.done:
                    self._embed_waiting()
        if call.error is not None:
            raise call.error
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        return np.stack([call.vectors[content_id(text)] for text in texts])

    def prepare(self) -> None:
        """Be ready for questions that come one at a time, as a server's do."""
        self.encode_questions(["warm up"])

    def foresee(self, text: str) -> None:
        """Have a question that will be asked soon embedded with the next that are; returns at once.

        One batch of many takes less time than many of one.
        """
        with self._entry:
            self._foreseen[content_id(text)] = text
            _forget_first(self._foreseen)

    def _recalled(self, asked: Iterable[str]) -> dict[str, np.ndarray]:
        """The vectors that are known of these questions, which count as asked last. With the entry."""
        known = {digest: self._asked.pop(digest) for digest in asked if digest in self._asked}
        self._asked |= known
        return known

    def _embed_waiting(self) -> None:
        """Give every call that waits its vectors, or the error that kept it from them. With the turn."""
        with self._entry:
            calls, self._waiting = self._waiting, []
            asked = {digest: text for call in calls for digest, text in call.asked.items()}
            known = self._recalled(asked)
            missing = {digest: text for digest, text in asked.items() if digest not in known}
            if missing:
                missing |= itertools.islice(self._foreseen.items(), max(0, TOGETHER - len(missing)))
            for digest in missing:
                self._foreseen.pop(digest, None)
        error: BaseException | None = None
        try:
            if missing:
                found = dict(zip(missing, self._embed(list(missing.values())), strict=True))
                known |= found
                with self._entry:
                    self._asked |= found
                    _forget_first(self._asked)
        except BaseException as problem:  # each of the calls has to end, whatever it was
            error = problem
        for call in calls:
            call.error, call.vectors = error, known

    def _embed(self, questions: list[str]) -> np.ndarray:
        """Vectors of questions, shape ``(questions, dimensions)``. With the turn."""
        raise NotImplementedError


class Embedder(Asked):
    """Embeds texts; vectors are unit length, float32, shape ``(texts, dimensions)``.

    On a GPU the model computes in half precision: bfloat16 where its weights are stored so, else float16. On a CPU
    passages are embedded in float32, and questions, for which somebody waits, in bfloat16 where the CPU is quicker in
    it: a cosine changes by about a thousandth. ``page`` is how many texts to hand to :meth:`encode` at once when there
    are many.
    """

    def __init__(self, name: str, folder: Path, *, device: str | None = None) -> None:
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of kernels that nobody here needs
        with uncollected():
            import torch
        with sparingly():
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as progress

        progress.disable_progress_bar()
        super().__init__()
        self.name = name
        self.model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        self.model.eval()
        gpu = self.model.device.type == "cuda"
        if gpu:
            stored = next(self.model.parameters()).dtype
            self.model.to(torch.bfloat16 if stored == torch.bfloat16 else torch.float16)
        else:
            self.model.float()
        quick = not gpu and precision.quickly()
        self._asking = copy.deepcopy(self.model).to(torch.bfloat16) if quick else self.model
        self._traced: TracedModel | None = None
        self.dimensions = int(self.model.get_embedding_dimension() or 0)
        self._pool: Any = None
        self._pools = ThreadpoolController()
        self.batch_size = 256 if gpu else 32
        self.page = 8192 if gpu else 512

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
        return cls(name, hub.resolve(name, settings))

    def prepare(self) -> None:
        """See :meth:`Asked.prepare`; without it questions are embedded as well, and on a CPU take half as long
        again."""
        with self._turn:
            if self._traced is None and self.model.device.type == "cpu":
                self._traced = TracedModel(self._asking, _SHAPES, together=TOGETHER)
        super().prepare()

    @contextmanager
    def spread(self, devices: Sequence[str] | None = None) -> Iterator[None]:
        """Meanwhile :meth:`encode` works on several devices at once, one process on each.

        Args:
            devices: their names; all GPUs where there is more than one, if None.
        """
        import torch

        if devices is None:
            devices = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        if len(devices) < 2:
            yield
            return
        self._pool = self.model.start_multi_process_pool(list(devices))
        try:
            yield
        finally:
            stop_pool(self._pool)
            self._pool = None

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of passages; batches are formed by length. A model with a prompt for documents gets it."""
        vectors = self.model.encode_document(
            list(texts),
            batch_size=self.batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
            pool=self._pool,
            processing_kwargs=_SHAPES,
        )
        return np.asarray(vectors, np.float32)

    def encode_each(self, batches: Iterable[tuple[T, Sequence[str]]]) -> Iterator[tuple[T, np.ndarray]]:
        """Vectors of batches of passages, each batch with what came with it."""
        for what, texts in batches:
            yield what, self.encode(texts) if texts else np.zeros((0, self.dimensions), np.float32)

    def _embed(self, questions: list[str]) -> np.ndarray:
        """Vectors of questions, shape ``(questions, dimensions)``. With the turn."""
        import torch

        few = len(questions) <= _FEW
        with self._pools.limit(limits=1 if few else None, user_api="openmp"):
            if self._traced is not None and few:
                return self._traced.encode(questions)
            vectors = self._asking.encode_query(
                questions,
                batch_size=self.batch_size,
                show_progress_bar=False,
                convert_to_tensor=True,
                processing_kwargs=_SHAPES,
            )
        return torch.nn.functional.normalize(vectors.float()).cpu().numpy()


def _forget_first(kept: dict[str, Any]) -> None:
    """Keep no more than :data:`REMEMBERED` of what was put there last."""
    for key in list(itertools.islice(kept, max(0, len(kept) - REMEMBERED))):
        del kept[key]


@dataclass(eq=False)
class _Call:
    """Questions by their digest, and what came of them: an error, or vectors of these and maybe others."""

    asked: Mapping[str, str]
    vectors: Mapping[str, np.ndarray] = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do for it."""
        return self.error is not None or self.vectors.keys() >= self.asked.keys()
