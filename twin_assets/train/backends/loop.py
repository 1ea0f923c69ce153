"""One adapter under transformers' trainer, whatever library loads the base and puts the adapter around it."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twin_assets.train.backends.base import Adapting, Trained, TrainingTask, Watcher
from twin_assets.train.backends.clock import Clock
from twin_assets.train.backends.group import Group
from twin_assets.train.backends.guards import Heartbeat, Interrupted, LossGuard, Signals, TrainingError
from twin_assets.train.checkpoints import newest_whole_checkpoint
from twin_assets.train.looks.watch import Watch
from twin_resources.models import causal
from twin_resources.models.loading import import_transformers, sparingly
from twin_resources.models.lora import adapter_weights

_EVALUATIONS = 4
_SHORT = 16
"""Steps below which a training is looked at once between its start and its end: a look takes as long as a third of a
step."""
CHECKPOINT_SECONDS = 60.0
"""After which a finished step is kept even where fewer than ``checkpoint_every`` were made: who stops a training that
takes half a minute a step, or loses the power, loses a minute."""


class LoraBackend:
    """Loss on answer tokens only; checkpoints hold optimizer, schedule and random state.

    Args:
        adapting: how the base is loaded and the adapter put around it.
        group: the processes that train side by side. Each learns from its share of every step, and all of them from the
            mean of their gradients (Li et al. 2020, arXiv:2006.15704), so the steps are those of one process.
    """

    def __init__(self, adapting: Adapting, group: Group | None = None) -> None:
        self.name = adapting.name
        self._adapting = adapting
        self._group = group or Group()

    def tokenizer(self, base: Path) -> Any:
        """The tokenizer of a base model, with a padding token."""
        import_transformers()  # the tokenizer's configuration takes most of it, and what follows the rest
        return causal.load_tokenizer(base)

    def train(self, task: TrainingTask, watcher: Watcher) -> Trained:
        """Train one adapter; see :class:`TrainingTask`. Where memory runs out, the same steps are made of smaller
        batches; several processes end then, as the others do not know of it.

        Raises:
            TrainingError: the loss is no number or rises above the base's, or one sample at a time is too much.
            Interrupted: SIGTERM or SIGINT came; the step it came in is kept.
        """
        while True:
            try:
                return self._attempt(task, watcher)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                said = str(error).splitlines()[0]
            smaller = task.with_smaller_batches()
            if self._group.size > 1:
                whole = task.shards(self._group.size) == 1
                raise TrainingError(
                    f"memory does not hold {task.parameters.batch_size} samples at a time in each of "
                    f"{self._group.size} processes ({said})",
                    f"lower training.batch_size, or {'set training.shard to true' if whole else 'take more processes'}"
                    ", in twin.yaml",
                )
            if smaller is None:
                raise TrainingError(
                    f"memory does not hold one sample at a time ({said})",
                    "set training.preset, lower training.max_sample_tokens or training.rank, or choose a smaller base, "
                    "in twin.yaml",
                )
            task = smaller
            watcher.log(
                f"out of memory; trying again with {task.parameters.batch_size} samples at a time, "
                f"{task.parameters.gradient_accumulation} times a step"
            )
            _free_memory()

    def _attempt(self, task: TrainingTask, watcher: Watcher) -> Trained:
        with sparingly():
            import transformers
            from transformers import set_seed

        transformers.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        set_seed(task.parameters.seed)
        self._group.meet()
        shards = task.shards(self._group.size)
        adapted = self._adapting.adapted(task, shards)
        task = _prepared(adapted, task, watcher, self._adapting)
        with self._group.in_turn():
            checkpoint = newest_whole_checkpoint(task.checkpoints)
        arguments = training_arguments(
            task, first=checkpoint is None, processes=self._group.size, more=self._adapting.arguments(task)
        )
        watcher.log(
            f"{len(task.train)} samples, {task.tokens} tokens, {arguments.max_steps} steps on {adapted.device} "
            f"in {str(adapted.dtype).removeprefix('torch.')}"
            + (f", {self._group.size} processes" if self._group.size > 1 else "")
            + (" that share the base" if shards > 1 else "")
        )
        minutes = task.parameters.stalled_minutes
        signals, heartbeat = Signals(), Heartbeat(minutes * 60 if minutes else None)
        trainer = _trainer(adapted, arguments, task, self._group.size, self._adapting)
        clock = Clock(task.parameters)
        trainer.add_callback(_progress(watcher, signals, heartbeat, self._group, clock))
        watch = self._watch(adapted, task, watcher, lambda: heartbeat.beat(trainer.state.global_step))
        if watch:
            trainer.add_callback(watch.callback())
        if checkpoint:
            watcher.log(f"going on from {Path(checkpoint).name}")
        with signals.caught(), heartbeat.watched():
            result = trainer.train(resume_from_checkpoint=checkpoint)
        looked = watch.record if watch else None
        stopped = looked.stopped if looked else None
        if self._group.any(signals.asked)[0] and trainer.state.global_step < arguments.max_steps and not stopped:
            raise Interrupted(f"asked to end at step {trainer.state.global_step} of {arguments.max_steps}; it is kept")
        if watch:
            watch.settle()
        history = [
            {"step": entry["step"], **{name: entry[name] for name in ("loss", "eval_loss") if name in entry}}
            for entry in trainer.state.log_history
            if "loss" in entry or "eval_loss" in entry
        ]
        return Trained(
            model=adapted,
            history=history,
            steps=looked.kept.step if looked and looked.stopped and looked.kept else arguments.max_steps,
            loss=result.training_loss,
            seconds=result.metrics.get("train_runtime", 0.0),
            resumed=checkpoint is not None,
            batch_size=task.parameters.batch_size,
            looked=looked,
        )

    def _watch(self, adapted: Any, task: TrainingTask, watcher: Watcher, beat: Callable[[], None]) -> Watch | None:
        """Who looks at the adapter on the way; nobody where processes share the base: it writes only where all do."""
        if task.looks is None:
            return None
        if task.shards(self._group.size) > 1:
            watcher.log("no texts on the way, and no stop for reciting: the base is shared among processes")
            return None
        tell = watcher.log if self._group.first else lambda _: None
        return Watch(task.looks, adapted, self._adapting, task.checkpoints, task.tokens, self._group, tell, beat)


def _prepared(adapted: Any, task: TrainingTask, watcher: Watcher, adapting: Adapting) -> TrainingTask:
    """What is looked up in the model before it learns: what an objective wants, or whether samples can be packed, which
    is left off where those in one row would see one another, as gpt-oss's do."""
    if task.objective:
        watcher.log(f"reading {len(task.train) + len(task.validation)} pairs as the model does before it learns")
        train, validation = (
            task.objective.prepared(adapted.eval(), rows, task.pad_id, side=adapting.side)
            for rows in (task.train, task.validation)
        )
        return replace(task, train=train, validation=validation)
    tried = task.train[: task.parameters.batch_size]
    if not task.parameters.packing or causal.keeps_samples_apart(adapted, tried, marked=adapting.marks_samples):
        return task
    watcher.log("this family does not keep packed samples apart; padding them instead")
    return replace(task, parameters=task.parameters.model_copy(update={"packing": False}))


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or a CPU."""
    import torch

    said = str(error).casefold()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in said or "can't allocate memory" in said


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def training_arguments(
    task: TrainingTask, *, first: bool = True, processes: int = 1, more: Mapping[str, Any] | None = None
) -> Any:
    """The trainer's configuration: a cosine schedule, checkpoints, and a validation loss before, during and after.

    Args:
        first: whether this is the start, where the base's own loss is measured.
        processes: that share the steps; ``task`` is the share of each.
        more: what the back end sets.
    """
    import torch
    import transformers

    steps = math.ceil(len(task.train) / (task.step_size * processes))
    parameters = task.parameters
    return transformers.TrainingArguments(
        output_dir=str(task.checkpoints),
        max_steps=steps,
        per_device_train_batch_size=parameters.batch_size,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=parameters.gradient_accumulation,
        learning_rate=parameters.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=steps // 20,  # none for a short training, whose first step would learn nothing
        weight_decay=0.0,
        max_grad_norm=1.0,
        logging_steps=max(1, steps // 40),
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=max(1, math.ceil(steps / (2 if steps < _SHORT else _EVALUATIONS))),
        eval_on_start=first,
        save_strategy="no",  # as the callback asks; by strategy, the trainer keeps none of a sharded base
        save_steps=parameters.checkpoint_every,
        save_total_limit=2,
        seed=parameters.seed,
        use_cpu=not torch.cuda.is_available(),
        ddp_backend=None if torch.cuda.is_available() or processes == 1 else "gloo",
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        train_sampling_strategy="sequential",
        disable_tqdm=True,
        report_to=[],
        **(more or {}),
    )


def _trainer(adapted: Any, arguments: Any, task: TrainingTask, processes: int, adapting: Adapting) -> Any:
    import transformers

    objective = task.objective

    class AnswerTrainer(transformers.Trainer):
        """The standard trainer with the loss on answers only, or that of an objective.

        Gradients of several processes are averaged, so each takes its part of a step's mean as many times.
        """

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            if objective:
                loss, count = objective.loss(model, inputs)
                mean = loss / (task.step_size if model.training else count)  # its own share: a mean of means
                return (mean, {}) if return_outputs else mean
            loss, count = causal.answer_loss(model, inputs)
            learned_from = num_items_in_batch if model.training else None  # else the tokens of all processes
            mean = loss / count if learned_from is None else loss * processes / learned_from
            return (mean, {}) if return_outputs else mean

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            """The adapter alone is kept, so that no process waits for the shards of others."""
            super()._save(output_dir, adapter_weights(adapted))

    def collate(batch: Any) -> dict[str, Any]:
        if objective:
            return objective.collate(batch, task.pad_id, side=adapting.side)
        packed, marked = task.parameters.packing, adapting.marks_samples
        return causal.collate(batch, task.pad_id, packed=packed, side=adapting.side, marked=marked)

    trainer = AnswerTrainer(
        model=adapted,
        args=arguments,
        train_dataset=task.train,  # pyright: ignore[reportArgumentType]
        eval_dataset=task.validation,  # pyright: ignore[reportArgumentType]
        data_collator=collate,
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.model_accepts_loss_kwargs = True  # a loss is the share of its step already, and is not divided again
    trainer.accelerator.gradient_accumulation_steps = 1  # by which transformers 5.0 to 5.5 divide it once more
    return trainer


def _progress(watcher: Watcher, signals: Signals, heartbeat: Heartbeat, group: Group, clock: Clock) -> Any:
    import transformers

    losses = LossGuard()

    class Progress(transformers.TrainerCallback):
        """Tells how far the training is, and ends one that should not go on."""

        def __init__(self) -> None:
            self._kept = time.monotonic()

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """A training that goes on is held against the loss that the base had at its start."""
            self._kept = time.monotonic()
            for entry in state.log_history:
                if "eval_loss" in entry:
                    losses.see(entry["step"], "eval_loss", entry["eval_loss"])

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            step = state.global_step
            for name in ("loss", "eval_loss", "grad_norm", "learning_rate"):
                if logs and name in logs:
                    watcher.metric(name, float(logs[name]), step)
                    losses.see(step, name, float(logs[name]))
            if logs and "loss" in logs:
                watcher.log(
                    f"step {step} of {state.max_steps}: loss {logs['loss']:.3f}{clock.told(state.max_steps - step)}"
                )
            if logs and "eval_loss" in logs:
                watcher.log(f"step {step}: validation loss {logs['eval_loss']:.3f}")

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            heartbeat.beat(state.global_step)
            clock.stepped()
            asked, late = group.any(signals.asked, time.monotonic() - self._kept >= CHECKPOINT_SECONDS)
            due = state.global_step % args.save_steps == 0 or state.global_step == state.max_steps
            control.should_save |= asked or late or due
            control.should_training_stop |= asked

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._kept = time.monotonic()

        def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            heartbeat.beat(state.global_step)

        def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            heartbeat.beat(state.global_step)

    return Progress()
