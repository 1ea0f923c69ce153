"""Looks at an adapter while it is trained, and ends a training that begins to recite.

The curve stays what it would be without: what is written is always the likeliest, and random state and mode of the
model are put back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from twin_assets.train.backends.group import Group
from twin_assets.train.backends.guards import TrainingError
from twin_assets.train.checkpoints import in_one_step
from twin_assets.train.looks.asked import Looks
from twin_assets.train.looks.plan import affordable, evaluations, spread
from twin_assets.train.looks.reciting import gone_on, recall
from twin_assets.train.looks.record import Kept, Recited, Record, Text
from twin_resources.models import causal
from twin_resources.models.lora import adapter_weights

_RECORD, _WEIGHTS = "looks.json", "kept.safetensors"
_TOLD = 90
"""Letters of a question in a line of the log, of which a terminal shows no more than its width."""


class Recites(TrainingError):
    """An adapter knew its texts by heart before there was one to keep."""


class Writes(Protocol):
    """How a model of a back end is made ready to write."""

    def ready_to_write(self, model: Any) -> None:
        """Put it into the mode that its ``generate`` is called in."""
        ...


@dataclass
class Watch:
    """Asks one adapter at some of its evaluations.

    Args:
        adapted: the PEFT model that is trained.
        folder: of the checkpoints, beside which it is kept what was seen.
        tokens: that the training learns from.
        beat: called when something was done, as writing may take a while.
    """

    looks: Looks
    adapted: Any
    adapting: Writes
    folder: Path
    tokens: int
    group: Group
    log: Callable[[str], None]
    beat: Callable[[], None]
    record: Record = field(default_factory=Record)
    _steps_of_texts: tuple[int, ...] = ()
    _steps_of_reciting: tuple[int, ...] = ()

    def begin(self, step: int, steps: int, every: int) -> None:
        """Read what is known, and plan the looks of a training of so many ``steps`` that goes on after ``step``.

        Args:
            every: steps between evaluations.
        """
        self.record = Record.read(self.folder / _RECORD, step)
        places, device, chosen = evaluations(steps, every), self.adapted.device.type, self.looks.parameters
        room = self.tokens // self.group.size
        if self.looks.questions:
            count = affordable(self.looks.cost_of_texts.on(device), chosen.sample_texts.share, room)
            self._steps_of_texts = spread([0, *places], count)
            if not self._steps_of_texts:
                self.log("too short a training to show texts on the way (training.sample_texts.share)")
        if self.looks.begun:
            count = affordable(self.looks.cost_of_reciting.on(device), chosen.reciting.share, room) - 1
            self._steps_of_reciting = (0, *spread(places, count)) if count > 0 else ()
            if not self._steps_of_reciting:
                self.log("too short a training to look on the way for what it recites (training.reciting.share)")

    def evaluated(self, step: int, loss: float) -> bool:
        """Look at the adapter where that is planned; returns whether its training is to end."""
        began = time.monotonic()
        if step in self._steps_of_texts and self.group.first:
            self._read(step)
        ends = False
        if self._steps_of_reciting:
            ends = self._listen(step) if step in self._steps_of_reciting else False
            if self.group.first and not ends and step and (self.record.kept is None or loss < self.record.kept.loss):
                self._keep(Kept(step, loss))
        self.record.seconds += time.monotonic() - began
        if self.group.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.record.write(self.folder / _RECORD)
        return ends

    def settle(self) -> None:
        """Put back what is kept, where the training was stopped by what it recited.

        Raises:
            Recites: nothing is kept.
        """
        if self.record.stopped is None or not self.group.first:
            return
        if self.record.kept is None:
            raise Recites(
                f"{self.record.stopped}, and there is no evaluation before at which it did not",
                "lower training.epochs or training.learning_rate, or raise training.reciting.stop_above, in twin.yaml",
            )
        import torch
        from safetensors.torch import load_file

        weights = load_file(self.folder / _WEIGHTS)
        with torch.no_grad():
            for name, parameter in adapter_weights(self.adapted).items():
                parameter.copy_(weights[name].to(parameter.device))
        self.log(f"keeping the adapter of step {self.record.kept.step} (validation loss {self.record.kept.loss:.3f})")

    def callback(self) -> Any:
        """For transformers' trainer."""
        import transformers

        watch = self

        class Looking(transformers.TrainerCallback):
            """Passes on where the training is."""

            def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                watch.begin(state.global_step if state.log_history else -1, state.max_steps, args.eval_steps)

            def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
                control.should_training_stop |= watch.evaluated(state.global_step, float(metrics["eval_loss"]))

            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                control.should_training_stop |= watch.record.stopped is not None

        return Looking()

    def _read(self, step: int) -> None:
        """What it answers, for people."""
        asked, tokenizer = self.looks.questions, self.looks.tokenizer
        with self._writing():
            written = causal.continued(
                self.adapted,
                [each.ids for each in asked],
                self.looks.parameters.sample_texts.tokens,
                tokenizer.pad_token_id,
                tokenizer.eos_token_id,
            )
        self.beat()
        for each, ids in zip(asked, written, strict=True):
            text = tokenizer.decode(ids, skip_special_tokens=True).strip()
            self.record.texts.append(Text(step, each.text, text, each.own.strip()))
            asked_for = each.text if len(each.text) <= _TOLD else f"{each.text[: _TOLD - 1]}…"
            self.log(f"step {step}, asked: {asked_for}")
            self.log(f"it writes: {text}")
        self.looks.tell(self.record.texts)

    def _listen(self, step: int) -> bool:
        """Whether it recites, in which all processes agree."""
        if self.group.first:
            with self._writing():
                shares = recall(self.looks.begun, gone_on(self.adapted, self.looks.tokenizer, self.looks.begun))
            self.beat()
            sides = {True: [], False: []}
            for each, share in zip(self.looks.begun, shares, strict=True):
                sides[each.trained].append(share)
            trained, held_out = (sum(sides[side]) / len(sides[side]) for side in (True, False))
            self._judge(Recited(step, round(trained, 4), round(held_out, 4)))
        self.record.stopped = self.group.agreed(self.record.stopped)
        return self.record.stopped is not None

    def _judge(self, seen: Recited) -> None:
        limit = self.looks.parameters.reciting.stop_above
        self.record.recited.append(seen)
        said = (
            f"{seen.trained:.0%} of the next words of texts that it learns from, word for word, and "
            f"{seen.held_out:.0%} of held-out ones"
        )
        self.log(f"step {seen.step}: it recites {said}")
        if limit is not None and seen.excess - self.record.recited[0].excess > limit:
            self.record.stopped_at = seen.step
            self.record.stopped = (
                f"it began to know its texts by heart: at step {seen.step} it recites {said} "
                f"(training.reciting.stop_above: {limit:g})"
            )
            self.log(self.record.stopped)

    def _keep(self, kept: Kept) -> None:
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        with in_one_step(self.folder / _WEIGHTS) as staging:
            save_file({name: each.cpu().contiguous() for name, each in adapter_weights(self.adapted).items()}, staging)
        self.record.kept = kept

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Meanwhile the model writes, and afterwards it is as it was."""
        import torch

        trained = self.adapted.training
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices):
            self.adapting.ready_to_write(self.adapted)
            yield
        self.adapted.train(trained)
