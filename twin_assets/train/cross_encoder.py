"""Training a cross-encoder on groups of a question, the passage that answers it, and passages that do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twin_assets.train.pairs import Group
from twin_resources.config.training import RerankerSettings

_QUESTIONS_A_STEP = 2
_MAX_TOKENS = 224
_CERTAIN = 30.0
"""The label of the passage that answers: a softmax over it and zeros is one-hot."""


def train_cross_encoder(
    base: Path,
    samples: Sequence[Group],
    chosen: RerankerSettings,
    folder: Path,
    *,
    seed: int,
    log: Callable[[str], None],
) -> dict[str, Any]:
    """Train from the embedding model's own layers and save into ``folder``, with its tokenizer.

    The loss is listwise: a softmax over the passages of each question (Cao et al. 2007, "Learning to Rank: From
    Pairwise Approach to Listwise Approach").

    Returns:
        Groups, steps, seconds and the loss of the last quarter.
    """
    import datasets
    import transformers
    from sentence_transformers import CrossEncoder, CrossEncoderTrainer
    from sentence_transformers.cross_encoder.losses import ListNetLoss

    datasets.disable_progress_bars()
    transformers.set_seed(seed)
    start = time.monotonic()
    model = CrossEncoder(str(base), num_labels=1, max_length=_MAX_TOKENS, local_files_only=True)
    rows = {
        "query": [group.question for group in samples],
        "passages": [list(group.passages) for group in samples],
        "labels": [[_CERTAIN, *([0.0] * (len(group.passages) - 1))] for group in samples],
    }
    steps = min(
        chosen.epochs * -(-len(samples) // _QUESTIONS_A_STEP), max(1, chosen.max_questions // _QUESTIONS_A_STEP)
    )
    arguments = _arguments(chosen, folder, steps=steps, seed=seed)
    losses: list[float] = []

    class Progress(transformers.TrainerCallback):
        """Tells how far the training is."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if logs and "loss" in logs:
                losses.append(float(logs["loss"]))
                if len(losses) % 20 == 1:
                    log(f"step {state.global_step} of {state.max_steps}, loss {losses[-1]:.3f}")

    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments,
        train_dataset=datasets.Dataset.from_dict(rows),
        loss=ListNetLoss(model),
        callbacks=[Progress()],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    model.save_pretrained(str(folder), create_model_card=False)
    last = losses[-max(1, len(losses) // 4) :]
    return {
        "groups": len(samples),
        "steps": steps,
        "seconds": round(time.monotonic() - start, 1),
        "loss_at_end": round(sum(last) / len(last), 4) if last else None,
    }


def _arguments(chosen: RerankerSettings, folder: Path, *, steps: int, seed: int) -> Any:
    import torch
    from sentence_transformers import CrossEncoderTrainingArguments

    return CrossEncoderTrainingArguments(
        output_dir=str(folder.with_name(f"{folder.name}.checkpoints")),
        max_steps=steps,
        per_device_train_batch_size=_QUESTIONS_A_STEP,
        learning_rate=chosen.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=max(1, steps // 10),
        weight_decay=0.01,
        max_grad_norm=1.0,
        logging_steps=1,
        save_strategy="no",
        train_sampling_strategy="sequential",
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to=[],
    )
