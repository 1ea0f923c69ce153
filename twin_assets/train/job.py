"""Supervised fine-tuning with LoRA (Hu et al. 2021, arXiv:2106.09685), in a process of its own.

Loss is taken on answer tokens only. Checkpoints hold optimizer, schedule and random state, so a killed training goes
on where it was. Any causal model that transformers loads will do.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes

from twin_assets.dataset.encode import encode_rows
from twin_assets.dataset.files import read_samples as read
from twin_resources.config.settings import TrainingSettings, load
from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.rag import prompt
from twin_resources.runtime.processes import end_with_parent
from twin_resources.runtime.tracking import Tracking

_VALIDATION_SAMPLES = 24
_EVALUATIONS = 4
_STRETCH = 8
_WHOLE = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth")


def within_budget(samples: list[Encoded], parameters: TrainingSettings) -> list[Encoded]:
    """Samples in training order, cut where the token budget is used up.

    Each epoch is shuffled; within stretches of it, samples of similar length share a batch, because padding costs as
    much as text.
    """
    order: list[Encoded] = []
    spent = 0
    generator = random.Random(parameters.seed)
    for _ in range(parameters.epochs):
        for sample in generator.sample(samples, len(samples)):
            spent += len(sample.ids)
            if parameters.token_budget is not None and spent > parameters.token_budget and order:
                return _batched_by_length(order, parameters.batch_size, generator)
            order.append(sample)
    return _batched_by_length(order, parameters.batch_size, generator)


def _batched_by_length(order: list[Encoded], batch_size: int, generator: random.Random) -> list[Encoded]:
    stretch = batch_size * _STRETCH
    batches: list[list[Encoded]] = []
    for start in range(0, len(order), stretch):
        near = sorted(order[start : start + stretch], key=lambda sample: len(sample.ids))
        batches += [near[first : first + batch_size] for first in range(0, len(near), batch_size)]
    whole = [batch for batch in batches if len(batch) == batch_size]
    rest = [sample for batch in batches if len(batch) < batch_size for sample in batch]
    generator.shuffle(whole)
    return [sample for batch in whole for sample in batch] + rest


def newest_whole_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written completely; halves that a killed training left are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    for path in found:
        try:
            json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            shutil.rmtree(path)
            continue
        if all((path / name).exists() for name in _WHOLE):
            return str(path)
        shutil.rmtree(path)
    return None


def train(context: PipesContext) -> dict[str, Any]:
    """Train one adapter and leave it, complete, in ``<workdir>/adapter``."""
    import peft
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    extra = context.get_extra
    settings = load(extra("config"))
    parameters = TrainingSettings(**extra("parameters"))
    workdir = Path(extra("workdir"))
    workdir.mkdir(parents=True, exist_ok=True)
    transformers.set_seed(parameters.seed)

    model, tokenizer = causal.load_base(Path(extra("base_folder")), settings.models.dtype)
    dataset = Path(extra("dataset_folder"))
    train_set = within_budget(
        encode_rows(tokenizer, read(dataset / "train.parquet"), extra("author_name"), parameters.max_sample_tokens),
        parameters,
    )
    validation = encode_rows(
        tokenizer, read(dataset / "validation.parquet"), extra("author_name"), parameters.max_sample_tokens
    )[:_VALIDATION_SAMPLES]
    step_size = parameters.batch_size * parameters.gradient_accumulation
    train_set = train_set[: max(step_size, len(train_set) - len(train_set) % step_size)]
    steps = math.ceil(len(train_set) / step_size)
    tokens = sum(len(sample.ids) for sample in train_set)
    context.log.info(f"{len(train_set)} samples, {tokens} tokens, {steps} steps on {model.device}")

    adapted = peft.get_peft_model(
        model,
        peft.LoraConfig(
            r=parameters.rank,
            lora_alpha=parameters.alpha,
            lora_dropout=parameters.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    tracking = Tracking(settings)
    run_file = workdir / "mlflow_run"
    if not run_file.exists():
        tags = {"twin.author": extra("author"), "twin.dataset": extra("dataset_id"), "twin.version": extra("version")}
        run = tracking.start(
            extra("author"), extra("version"), {**parameters.model_dump(), "base": extra("base")}, tags
        )
        run_file.write_text(run)
    run_id = run_file.read_text()

    class Progress(transformers.TrainerCallback):
        """Tells the run's log and MLflow how far the training is."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            for name in ("loss", "eval_loss", "grad_norm", "learning_rate"):
                if logs and name in logs:
                    tracking.metric(run_id, name, float(logs[name]), state.global_step)
            if logs and "loss" in logs:
                context.log.info(f"step {state.global_step} of {state.max_steps}: loss {logs['loss']:.3f}")
            if logs and "eval_loss" in logs:
                context.log.info(f"step {state.global_step}: validation loss {logs['eval_loss']:.3f}")

    class AnswerTrainer(transformers.Trainer):
        """The standard trainer with the loss on answers only, and the samples in the order they come in."""

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            loss, count = causal.answer_loss(model, inputs)
            mean = loss / (num_items_in_batch if num_items_in_batch is not None else count)
            return (mean, {}) if return_outputs else mean

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)  # pyright: ignore[reportArgumentType]

    every = max(1, steps // _EVALUATIONS)
    arguments = transformers.TrainingArguments(
        output_dir=str(workdir / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=parameters.batch_size,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=parameters.gradient_accumulation,
        learning_rate=parameters.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, steps // 20),
        weight_decay=0.0,
        max_grad_norm=1.0,
        logging_steps=max(1, steps // 40),
        eval_strategy="steps",
        eval_steps=every,
        eval_on_start=True,
        save_steps=parameters.checkpoint_every,
        save_total_limit=2,
        seed=parameters.seed,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        disable_tqdm=True,
        report_to=[],
    )
    trainer = AnswerTrainer(
        model=adapted,
        args=arguments,
        train_dataset=train_set,  # pyright: ignore[reportArgumentType]
        eval_dataset=validation,  # pyright: ignore[reportArgumentType]
        data_collator=lambda batch: causal.collate(batch, tokenizer.pad_token_id),
        callbacks=[Progress()],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    checkpoint = newest_whole_checkpoint(workdir / "checkpoints")
    if checkpoint:
        context.log.info(f"going on from {Path(checkpoint).name}")
    result = trainer.train(resume_from_checkpoint=checkpoint)

    history = [
        {"step": entry["step"], **{name: entry[name] for name in ("loss", "eval_loss") if name in entry}}
        for entry in trainer.state.log_history
        if "loss" in entry or "eval_loss" in entry
    ]
    validated = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    metrics = {
        "train_samples": len(train_set),
        "train_tokens": tokens,
        "steps": steps,
        "train_loss": round(result.training_loss, 4),
        "validation_loss_base": round(validated[0], 4),
        "validation_loss": round(validated[-1], 4),
        "train_seconds": round(result.metrics.get("train_runtime", 0.0), 1),
        "resumed": checkpoint is not None,
    }
    folder = workdir / "adapter"
    _write(adapted, folder, context, parameters, metrics, history)
    tracking.finish(
        run_id,
        {name: float(value) for name, value in metrics.items()},
        [folder / "loss.png", folder / "README.md"],
    )
    experiment = tracking.experiment(extra("author"))
    return {"metrics": metrics, "run_id": run_id, "experiment": experiment, "folder": str(folder)}


def _write(
    model: Any,
    folder: Path,
    context: PipesContext,
    parameters: TrainingSettings,
    metrics: dict[str, Any],
    history: list[dict[str, Any]],
) -> None:
    """Weights, card, figures and plot, written aside and put in place at the end."""
    from twin_assets.train.plot import loss_curve

    extra = context.get_extra
    staging = folder.with_name("adapter.writing")
    shutil.rmtree(staging, ignore_errors=True)
    model.peft_config["default"].base_model_name_or_path = extra("base")
    model.save_pretrained(staging, safe_serialization=True)
    facts = {
        "author": extra("author_name"),
        "version": extra("version"),
        "base": extra("base"),
        "dataset": extra("dataset_id"),
        "training code": extra("code_version"),
        "prompt": prompt.CODE_VERSION,
    }
    rows = [f"| {name} | {value} |" for name, value in {**facts, **metrics}.items()]
    settings = [f"| {name} | {value} |" for name, value in parameters.model_dump().items()]
    card = [
        f"# {extra('version')}",
        "",
        f"A LoRA adapter that answers as {extra('author_name')}, trained on their own published text.",
        "",
        "| | |",
        "|---|---|",
        *rows,
        "",
        "## Hyper-parameters",
        "",
        "| | |",
        "|---|---|",
        *settings,
        "",
    ]
    (staging / "README.md").write_text("\n".join(card), encoding="utf-8")
    record = {"facts": facts, "metrics": metrics, "parameters": parameters.model_dump(), "history": history}
    (staging / "training.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    loss_curve(history, staging / "loss.png")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(staging, folder)


if __name__ == "__main__":
    end_with_parent()
    warnings.simplefilter("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    with open_dagster_pipes() as pipes:
        pipes.report_custom_message(train(pipes))
    sys.exit(0)
