"""LoRA with PEFT under transformers' trainer: any causal model, on a CPU or a GPU."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from twin_assets.train.backends.base import Trained, TrainingTask, Watcher
from twin_assets.train.checkpoints import newest_whole_checkpoint
from twin_resources.models import causal

_EVALUATIONS = 4


class PeftBackend:
    """Loss on answer tokens only; checkpoints hold optimizer, schedule and random state."""

    name = "peft"

    def tokenizer(self, base: Path) -> Any:
        """The tokenizer of a base model, with a padding token."""
        return causal.load_tokenizer(base)

    def train(self, task: TrainingTask, watcher: Watcher) -> Trained:
        """Train one adapter; see :class:`TrainingTask`."""
        import peft
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        transformers.set_seed(task.parameters.seed)
        adapted = peft.get_peft_model(causal.load_model(task.base, task.dtype), lora_config(task))
        arguments = training_arguments(task)
        watcher.log(f"{len(task.train)} samples, {task.tokens} tokens, {arguments.max_steps} steps on {adapted.device}")
        trainer = _trainer(adapted, arguments, task, watcher)
        checkpoint = newest_whole_checkpoint(task.checkpoints)
        if checkpoint:
            watcher.log(f"going on from {Path(checkpoint).name}")
        result = trainer.train(resume_from_checkpoint=checkpoint)
        history = [
            {"step": entry["step"], **{name: entry[name] for name in ("loss", "eval_loss") if name in entry}}
            for entry in trainer.state.log_history
            if "loss" in entry or "eval_loss" in entry
        ]
        return Trained(
            model=adapted,
            history=history,
            steps=arguments.max_steps,
            loss=result.training_loss,
            seconds=result.metrics.get("train_runtime", 0.0),
            resumed=checkpoint is not None,
        )


def lora_config(task: TrainingTask) -> Any:
    """PEFT's configuration of the adapter."""
    import peft

    return peft.LoraConfig(
        r=task.parameters.rank,
        lora_alpha=task.parameters.alpha,
        lora_dropout=task.parameters.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def training_arguments(task: TrainingTask) -> Any:
    """The trainer's configuration: a cosine schedule, checkpoints, and a validation loss before, during and after."""
    import torch
    import transformers

    steps = math.ceil(len(task.train) / task.step_size)
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
        eval_strategy="steps",
        eval_steps=max(1, steps // _EVALUATIONS),
        eval_on_start=True,
        save_steps=parameters.checkpoint_every,
        save_total_limit=2,
        seed=parameters.seed,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        train_sampling_strategy="sequential",
        disable_tqdm=True,
        report_to=[],
    )


def _trainer(adapted: Any, arguments: Any, task: TrainingTask, watcher: Watcher) -> Any:
    import transformers

    class AnswerTrainer(transformers.Trainer):
        """The standard trainer with the loss on answers only."""

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            loss, count = causal.answer_loss(model, inputs)
            mean = loss / (num_items_in_batch if num_items_in_batch is not None else count)
            return (mean, {}) if return_outputs else mean

    class Progress(transformers.TrainerCallback):
        """Tells how far the training is."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            for name in ("loss", "eval_loss", "grad_norm", "learning_rate"):
                if logs and name in logs:
                    watcher.metric(name, float(logs[name]), state.global_step)
            if logs and "loss" in logs:
                watcher.log(f"step {state.global_step} of {state.max_steps}: loss {logs['loss']:.3f}")
            if logs and "eval_loss" in logs:
                watcher.log(f"step {state.global_step}: validation loss {logs['eval_loss']:.3f}")

    trainer = AnswerTrainer(
        model=adapted,
        args=arguments,
        train_dataset=task.train,  # pyright: ignore[reportArgumentType]
        eval_dataset=task.validation,  # pyright: ignore[reportArgumentType]
        data_collator=lambda batch: causal.collate(batch, task.pad_id),
        callbacks=[Progress()],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer
