"""What was seen in a training, kept beside its checkpoints so that one that was killed still knows it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from twin_assets.train.checkpoints import in_one_step


@dataclass(frozen=True)
class Text:
    """What an adapter answered to ``question`` at a ``step``, and the beginning of the author's ``own`` answer."""

    step: int
    question: str
    text: str
    own: str


@dataclass(frozen=True)
class Recited:
    """The mean :func:`~.reciting.recall` of trained and of held-out texts at a ``step``."""

    step: int
    trained: float
    held_out: float

    @property
    def excess(self) -> float:
        """By how much more is recited of what was trained on."""
        return self.trained - self.held_out


@dataclass(frozen=True)
class Kept:
    """The evaluation with the lowest loss so far, whose weights are kept."""

    step: int
    loss: float


@dataclass
class Record:
    """All of it; ``stopped`` says why a training was ended by what it recited, at step ``stopped_at``, and ``seconds``
    what looks took."""

    texts: list[Text] = field(default_factory=list)
    recited: list[Recited] = field(default_factory=list)
    kept: Kept | None = None
    stopped: str | None = None
    stopped_at: int | None = None
    seconds: float = 0.0

    @property
    def last_texts(self) -> Sequence[Text]:
        """Those of the last look, or of what is kept where the training was stopped."""
        last = self.kept.step if self.stopped and self.kept else math.inf
        steps = [each.step for each in self.texts if each.step <= last]
        return [each for each in self.texts if steps and each.step == max(steps)]

    def write(self, path: Path) -> None:
        """Put it in place in one step."""
        with in_one_step(path) as staging:
            staging.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, path: Path, step: int) -> Record:
        """As it was after ``step``; empty where there is none."""
        if not path.exists():
            return cls()
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        texts = [Text(**each) for each in known["texts"] if each["step"] <= step]
        recited = [Recited(**each) for each in known["recited"] if each["step"] <= step]
        kept = Kept(**known["kept"]) if known["kept"] and known["kept"]["step"] <= step else None
        read = cls(texts, recited, kept, seconds=known["seconds"])
        if known["stopped_at"] is not None and known["stopped_at"] <= step:
            read.stopped, read.stopped_at = known["stopped"], known["stopped_at"]
        return read
