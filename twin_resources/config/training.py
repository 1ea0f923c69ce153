"""The section ``training``: hyper-parameters, and presets of them by the size of the base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from twin_resources.config.price import Price
from twin_resources.config.search import SearchSettings
from twin_resources.config.section import Section
from twin_resources.config.watching import RecitingSettings, SampleTextSettings

MOST_CANARIES = 8
"""Of them two tell nothing that chance could not, four do."""
STEP_SIZE = 8
"""Samples an optimizer step learns from, in every preset and without one."""
Preset = Literal["laptop", "7b", "14b", "30b", "70b"]
PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "laptop": {"rank": 8, "alpha": 16, "batch_size": 1, "gradient_checkpointing": True},
    "7b": {"rank": 16, "alpha": 32, "batch_size": 4, "gradient_checkpointing": True, "packing": True},
    "14b": {"rank": 16, "alpha": 32, "batch_size": 2, "gradient_checkpointing": True, "packing": True},
    "30b": {
        "rank": 16,
        "alpha": 32,
        "batch_size": 2,
        "gradient_checkpointing": True,
        "packing": True,
        "quantization": "nf4",
    },
    "70b": {
        "rank": 16,
        "alpha": 32,
        "batch_size": 1,
        "gradient_checkpointing": True,
        "quantization": "nf4",
    },
}
"""What each preset sets where ``twin.yaml`` does not; a step learns from as many samples in all of them."""

SEARCHED = ("learning_rate", "rank", "alpha", "epochs", "dropout")
"""What a search looks for, where neither ``twin.yaml`` nor a preset sets it."""
_LARGEST_ALPHA = 1024


class RerankerSettings(Section):
    """Hyper-parameters of the re-ranker that is trained on the author's own questions."""

    enabled: bool = True
    epochs: int = Field(2, ge=1, le=20)
    learning_rate: float = Field(5e-5, gt=0, le=1)
    max_questions: int = Field(160, ge=10, description="questions shown over all epochs, each with eight passages")
    enough: float = Field(0.95, ge=0, le=1.01, description="nDCG@10 of search alone from which on nothing is trained")
    confidence: float = Field(0.95, ge=0.5, le=1, description="that nDCG@10 gains on held-out documents, to serve it")


class DpoSettings(Section):
    """Hyper-parameters of direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290)."""

    enabled: bool = True
    fewest_pairs: int = Field(20, ge=2, description="with fewer, the adapter of the instruct dataset stays as it is")
    beta: float = Field(0.1, gt=0, le=10, description="how near to that adapter it stays; more is nearer")
    epochs: int = Field(1, ge=1, le=20)
    learning_rate: float = Field(5e-5, gt=0, le=1)


class TrainingSettings(Section):
    """Hyper-parameters of supervised fine-tuning with LoRA (Hu et al. 2021, arXiv:2106.09685)."""

    preset: Preset | None = Field(None, description="sets what is not set here, for a base of that size")
    epochs: int = Field(1, ge=1, le=50)
    learning_rate: float = Field(4e-4, gt=0, le=1)
    rank: int = Field(16, ge=1, le=512)
    alpha: int = Field(32, ge=1, le=_LARGEST_ALPHA)
    dropout: float = Field(0.0, ge=0, lt=1)
    batch_size: int = Field(4, ge=1)
    gradient_accumulation: int = Field(2, ge=1)
    gradient_checkpointing: bool = Field(False, description="compute activations twice rather than keep them")
    quantization: Literal["nf4"] | None = Field(None, description="keep the base in 4 bits while training (QLoRA)")
    packing: bool = Field(False, description="lay the samples of a batch behind one another instead of padding them")
    max_sample_tokens: int = Field(192, ge=32)
    max_answering_tokens: int = Field(512, ge=64, description="the same of answers from passages, which are cut to it")
    answering_share: float = Field(0.4, ge=0, le=0.8, description="share of samples that answer from passages")
    general: str | None = Field(None, description="file of instructions by others, mixed in against forgetting")
    general_share: float = Field(0.1, gt=0, le=0.5, description="their share of the training tokens")
    canaries: int = Field(
        0, ge=0, le=MOST_CANARIES, description="made-up sentences to learn from, so that it shows what is memorised"
    )
    token_budget: int | None = Field(16_000, ge=500, description="training tokens over all epochs; null for no limit")
    checkpoint_every: int = Field(10, ge=1, description="optimizer steps between checkpoints")
    seed: int = 42
    dataset: str | None = Field(None, description="version to train on, or its first digits; the newest without it")
    python: str | None = Field(None, description="another interpreter for the training job")
    backend: Literal["auto", "peft", "unsloth"] = Field(
        "auto", description="library that trains; auto is Unsloth where the interpreter has it and it can, else PEFT"
    )
    processes: int = Field(
        1, ge=1, le=64, description="that share each optimizer step of one adapter, each on a GPU of its own"
    )
    nodes: int = Field(1, ge=1, le=64, description="of a Ray cluster, each with so many processes")
    shard: bool | Literal["auto"] = Field(
        "auto", description="divide the base among the processes (FSDP); auto where a device does not hold all of it"
    )
    stalled_minutes: float | None = Field(
        30, gt=0, description="without a step, after which a training is ended; null never"
    )
    sample_texts: SampleTextSettings = SampleTextSettings()  # pyright: ignore[reportCallIssue]
    reciting: RecitingSettings = RecitingSettings()  # pyright: ignore[reportCallIssue]
    price_per_hour: float | None = Field(None, ge=0, description="of training, on all its machines together")
    currency: str = Field("EUR", min_length=1, max_length=16, description="of the price, any text")
    reranker: RerankerSettings = RerankerSettings()  # pyright: ignore[reportCallIssue]
    dpo: DpoSettings = DpoSettings()  # pyright: ignore[reportCallIssue]
    search: SearchSettings = SearchSettings()  # pyright: ignore[reportCallIssue]

    @property
    def open(self) -> tuple[str, ...]:
        """Which of :data:`SEARCHED` nobody set, so that what a search found holds."""
        return tuple(name for name in SEARCHED if name not in self.model_fields_set)

    @property
    def price(self) -> Price | None:
        """What it costs; None where nobody says."""
        return None if self.price_per_hour is None else Price(self.price_per_hour, self.currency)

    @property
    def group(self) -> int:
        """Processes of one training, over all nodes."""
        return self.processes * self.nodes

    @property
    def searched(self) -> dict[str, float]:
        """The values of :data:`SEARCHED`."""
        return {name: getattr(self, name) for name in SEARCHED}

    def with_found(self, found: Mapping[str, float]) -> TrainingSettings:
        """These settings with what a search found where nobody set it; alpha keeps to the rank as it was found."""
        changes: dict[str, Any] = {name: found[name] for name in self.open if name in found}
        if "alpha" in changes and "rank" not in changes:
            changes["alpha"] = alpha_of(self.rank, found["alpha"] / found["rank"])
        return self.model_copy(update=changes)

    @model_validator(mode="after")
    def _can_be_sharded(self) -> TrainingSettings:
        if self.shard is True and self.group == 1:
            raise ValueError(
                "shard is true, and one process has nobody to share the base with: set training.processes to the "
                "number of GPUs, or training.shard to auto"
            )
        if self.shard is True and self.quantization:
            raise ValueError(
                f"shard is true and quantization {self.quantization}: a base in 4 bits cannot be sharded, as shards "
                "lose the constants of packed weights. Set training.quantization to null, or training.shard to auto"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _filled_from_preset(cls, given: Any) -> Any:
        """Values of the preset under those that are given; a batch of another size keeps the size of a step."""
        if not isinstance(given, dict) or given.get("preset") not in PRESETS:
            return given
        filled = {**PRESETS[given["preset"]], **given}
        batch = filled["batch_size"]
        if "gradient_accumulation" not in given and str(batch).isdigit() and int(batch) > 0:
            filled["gradient_accumulation"] = max(1, STEP_SIZE // int(batch))
        if "rank" in given and "alpha" not in given and str(given["rank"]).isdigit():
            filled["alpha"] = 2 * int(given["rank"])
        return filled


def alpha_of(rank: int, multiple: float) -> int:
    """The alpha that is so many times the rank."""
    return min(_LARGEST_ALPHA, max(1, round(multiple * rank)))
