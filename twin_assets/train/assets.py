"""``models/sft_adapter`` and ``models/dpo_adapter``, which carry an author's style, and ``models/reranker``."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from twin_assets import keys
from twin_assets.metadata import OWNERS, artifact, image
from twin_assets.partitions import AUTHORS
from twin_assets.train.card import sample_texts
from twin_assets.train.pairs import FEWEST_QUESTIONS
from twin_resources.config.settings import Settings, SettingsError
from twin_resources.config.training import TrainingSettings
from twin_resources.config.watching import RecitingSettings
from twin_resources.features import Dataset
from twin_resources.models import hub
from twin_resources.rag import prompt
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.storage.datasets import DatasetVersion
from twin_resources.storage.releases import Adapter
from twin_resources.storage.training.pace import spoken
from twin_resources.text.identity import content_id

CODE_VERSION = "4"
DPO_VERSION = "2"
RERANKER_VERSION = "4"
AS_SET = "from twin.yaml and defaults"
WITHOUT_EFFECT = {
    *("preset", "dataset", "python", "reranker", "answering_share", "stalled_minutes", "dpo", "general", "search"),
    *("processes", "nodes", "shard", "backend", "sample_texts", "price_per_hour", "currency"),
}
"""Settings that make no other adapter of the same dataset; of general instructions the content counts."""


@dataclass(frozen=True)
class _Recipe:
    """What an adapter is made from: a dataset and ``parameters``, which come from ``origin``; preference optimisation
    starts from another adapter and learns from pairs."""

    dataset: DatasetVersion
    parameters: dict
    origin: str
    start: Adapter | None = None
    pairs: DatasetVersion | None = None

    def preferences(self, twin: Twin) -> dict[str, str]:
        """Start and pairs for the job; nothing where the adapter is a new one."""
        if self.start is None or self.pairs is None:
            return {}
        return {
            "start_folder": str(twin.artifacts.folder(self.start.artifact)),
            "pairs_folder": str(twin.artifacts.folder(self.pairs.artifact)),
            "pairs_id": self.pairs.id,
        }


@dg.asset(
    key=keys.SFT_ADAPTER,
    deps=[keys.INSTRUCT],
    group_name="train",
    kinds={"pytorch", "peft", "mlflow"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=CODE_VERSION,
    pool="gpu",
    description="A LoRA adapter, trained on the newest instruct dataset, or the one that `training.dataset` names, in "
    "a process of its own. The same dataset, base and hyper-parameters give the same adapter, so nothing is trained "
    "twice; a killed training goes on from its checkpoint.",
)
def sft_adapter(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
    author = twin.author(context.partition_key)
    settings = twin.settings
    dataset = twin.training_dataset(author.id)
    if dataset is None:
        raise dg.Failure(description=f"{author.id} has no instruct dataset yet; materialise datasets/instruct first")
    general = general_file(settings)
    training, origin = _chosen(twin, author.id)
    parameters = training.model_dump(exclude=without_effect(training))
    adapter_id = content_id(
        "sft",
        CODE_VERSION,
        prompt.CODE_VERSION,
        dataset.id,
        settings.models.base,
        json.dumps(parameters, sort_keys=True),
        *([hashlib.sha256(general.read_bytes()).hexdigest()] if general else []),
    )
    with twin.turn(context, [f"training of {author.id}"]):
        known = _trained(twin, adapter_id)
        trained_now = known is None
        if known is None:
            context.log.info(f"hyper-parameters: {origin}")
            recipe = _Recipe(dataset, parameters, origin)
            known = _train(context, twin, compute, adapter_id, recipe)
        elif twin.releases.newest_adapter(author.id, "sft") != known:
            twin.releases.make_newest(known.id)  # else what was trained from it stays the newest
    return _result(twin, known, trained_now=trained_now)


def _chosen(twin: Twin, author_id: str) -> tuple[TrainingSettings, str]:
    """Hyper-parameters of the next training, and where they come from: twin.yaml, then the best that a search over this
    base found for this author, then the defaults."""
    training = twin.settings.training
    best = twin.searches.best(author_id, twin.settings.models.base) if training.open else None
    if best is None:
        return training, AS_SET
    return training.with_found(best.parameters), f"{best.told(training.open)}; the others {AS_SET}"


def without_effect(training: TrainingSettings) -> set[str]:
    """Settings that make no other adapter; what is as it was before it could be set makes none either."""
    unused = {
        "general_share": training.general is None,
        "reciting": training.reciting == RecitingSettings.model_validate({}),
        "canaries": not training.canaries,
    }
    return WITHOUT_EFFECT | {name for name, without in unused.items() if without}


def _took(metrics: Mapping[str, Any]) -> str:
    """How long a training took and what it cost, beside what was expected."""
    told = spoken(metrics["seconds"])
    if "cost" in metrics:
        told += f", {metrics['cost']:.2f} {metrics['currency']}"
    return f"{told}; {spoken(metrics['expected_seconds'])} were expected" if "expected_seconds" in metrics else told


def general_file(settings: Settings) -> Path | None:
    """The file of general instructions, relative to ``twin.yaml``.

    Raises:
        SettingsError: there is no such file.
    """
    if settings.training.general is None:
        return None
    file = (settings.folder / Path(settings.training.general).expanduser()).resolve()
    if not file.is_file():
        raise SettingsError(f"training.general: there is no file {file}")
    return file


def _trained(twin: Twin, adapter_id: str) -> Adapter | None:
    """The adapter of this id, where it was trained and its files are still there."""
    found = twin.releases.adapter(adapter_id)
    return found if found and twin.artifacts.exists(found.artifact) else None


def _result(twin: Twin, known: Adapter, *, trained_now: bool) -> dg.MaterializeResult:
    """What Dagster is told of an adapter."""
    settings, metrics = twin.settings, known.metrics
    folder = twin.artifacts.folder(known.artifact)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(known.version),
        metadata={
            "version": known.version,
            "trained_now": trained_now,
            "dataset": known.dataset_id,
            "base": known.base,
            "hyperparameters": metrics.get("hyperparameters", AS_SET),
            **{name: value for name, value in metrics.items() if isinstance(value, int | float)},
            **({"took": _took(metrics)} if "seconds" in metrics else {}),
            **({"stopped": metrics["stopped"]} if "stopped" in metrics else {}),
            **({"texts": dg.MetadataValue.md(sample_texts(metrics["texts"]))} if metrics.get("texts") else {}),
            "loss_curve": image(folder / "loss.png"),
            "card": dg.MetadataValue.md((folder / "README.md").read_text(encoding="utf-8")),
            "mlflow_run": dg.MetadataValue.url(
                f"http://127.0.0.1:{settings.mlflow_port}/#/experiments/"
                f"{metrics.get('experiment', '')}/runs/{known.tracking_run}"
            ),
            **artifact(twin.artifacts.url, known.artifact),
        },
    )


@dg.asset(
    key=keys.DPO_ADAPTER,
    deps=[keys.SFT_ADAPTER, keys.PREFERENCE],
    group_name="train",
    kinds={"pytorch", "peft", "mlflow"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=DPO_VERSION,
    pool="gpu",
    description="The adapter of models/sft_adapter, trained on to prefer the chosen answers of the newest preference "
    "dataset (DPO). Where there are too few pairs, it says so, and the adapter it would start from is the candidate.",
)
def dpo_adapter(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
    author_id = context.partition_key
    chosen = twin.settings.training.dpo
    start = twin.releases.newest_adapter(author_id, "sft")
    dataset = twin.datasets.get(start.dataset_id) if start else None
    if start is None or dataset is None:
        raise dg.Failure(description=f"{author_id} has no adapter yet; materialise models/sft_adapter first")
    pairs = twin.datasets.newest(author_id, "preference")
    reason = _no_preferences(pairs, enabled=chosen.enabled, fewest=chosen.fewest_pairs)
    if twin.releases.get(start.version).retired_because:
        reason = f"{start.version} is retired, so nothing starts from it"
    if pairs is None or reason:
        if twin.releases.newest_adapter(author_id) != start:
            twin.releases.make_newest(start.id)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(start.version),
            metadata={"trained_now": False, "reason": reason or "", "candidate": start.version},
        )
    adapter_id = content_id("dpo", DPO_VERSION, start.id, pairs.id, chosen.model_dump_json())
    with twin.turn(context, [f"training of {author_id}"]):
        known = _trained(twin, adapter_id)
        trained_now = known is None
        if known is None:
            parameters = {**start.parameters, "dpo": chosen.model_dump()}
            recipe = _Recipe(dataset, parameters, start.metrics.get("hyperparameters", AS_SET), start, pairs)
            known = _train(context, twin, compute, adapter_id, recipe)
        else:
            twin.releases.make_newest(known.id)
    return _result(twin, known, trained_now=trained_now)


def _no_preferences(pairs: DatasetVersion | None, *, enabled: bool, fewest: int) -> str | None:
    """Why nothing is learned from pairs, or None."""
    count = pairs.manifest.get("pairs", 0) if pairs else 0
    if not enabled:
        return "training.dpo.enabled is false"
    if pairs is None or "erased" in pairs.manifest or count < fewest:
        return f"{count} preference pairs are too few to learn from; it takes {fewest}"
    return None


def _train(
    context: dg.AssetExecutionContext,
    twin: Twin,
    compute: Compute,
    adapter_id: str,
    recipe: _Recipe,
) -> Adapter:
    settings = twin.settings
    author = twin.author(context.partition_key)
    version = f"{author.id}-{adapter_id[:8]}"
    workdir = settings.home / "training" / adapter_id
    result = compute.launch(
        context,
        "twin_assets.train.job",
        {
            "author": author.id,
            "author_name": author.name,
            "config": str(settings.config),
            "workdir": str(workdir),
            "dataset_id": recipe.dataset.id,
            "dataset_folder": str(twin.artifacts.folder(recipe.dataset.artifact)),
            "base": settings.models.base,
            "base_folder": str(hub.resolve(settings.models.base, settings)),
            "parameters": {
                **recipe.parameters,
                "sample_texts": settings.training.sample_texts.model_dump(),
                "price_per_hour": settings.training.price_per_hour,
                "currency": settings.training.currency,
                "stalled_minutes": settings.training.stalled_minutes,
                "processes": settings.training.processes,
                "nodes": settings.training.nodes,
                "shard": settings.training.shard,
                "backend": settings.training.backend,
                "general": str(general_file(settings) or "") or None,
            },
            "version": version,
            "code_version": CODE_VERSION,
            "hyperparameters": recipe.origin,
            **recipe.preferences(twin),
        },
        python=settings.training.python,
        processes=settings.training.processes,
        nodes=settings.training.nodes,
    )
    artifact = twin.artifacts.put("adapters", Path(result["folder"]))
    trained = Adapter(
        id=adapter_id,
        author=author.id,
        version=version,
        kind="dpo" if recipe.pairs else "sft",
        base=settings.models.base,
        artifact=artifact,
        dataset_id=recipe.dataset.id,
        parameters=recipe.parameters,
        metrics={
            **result["metrics"],
            "texts": result["texts"],
            "curve": result["curve"],
            "experiment": result["experiment"],
            "hyperparameters": recipe.origin,
        },
        tracking_run=result["run_id"],
    )
    twin.releases.add_adapter(trained)
    shutil.rmtree(workdir, ignore_errors=True)
    return trained


@dg.asset(
    key=keys.RERANKER,
    deps=[keys.RETRIEVAL, *keys.EMBEDDINGS],
    group_name="train",
    kinds={"pytorch", "huggingface"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=RERANKER_VERSION,
    pool="gpu",
    description="A cross-encoder, trained from the embedding model on the author's own questions with hard negatives. "
    "Search uses it only when nDCG@10 on documents it never saw gains with enough confidence.",
)
def reranker(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
    author_id = context.partition_key
    settings = twin.settings
    chosen = settings.training.reranker
    found = twin.features.dataset(author_id, "retrieval")
    if found is None:
        raise dg.Failure(description=f"{author_id} has no retrieval dataset yet; materialise datasets/retrieval first")
    dataset = found.version
    reranker_id = content_id(
        "reranker",
        RERANKER_VERSION,
        dataset.id,
        settings.models.embedding,
        settings.training.seed,
        chosen.model_dump_json(),
    )
    with twin.turn(context, [f"training of {author_id}"]):
        known = twin.reports.get(reranker_id)
        if known is None:
            questions = sum(dataset.manifest.get("kinds", {}).values())
            reason = _left_out(chosen.enabled, questions)
            if reason:
                metrics, address = {"released": False, "reason": reason}, ""
            else:
                metrics, address = _train_reranker(context, twin, compute, reranker_id, found)
            known = twin.reports.add(reranker_id, author_id, "reranker", dataset.id, metrics, address)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(reranker_id),
        metadata={
            "dataset": dataset.id,
            **artifact(twin.artifacts.url, known.artifact),
            **{name: value for name, value in known.metrics.items() if isinstance(value, bool | int | float | str)},
        },
    )


def _left_out(enabled: bool, questions: int) -> str | None:
    """Why no re-ranker is trained, or None."""
    if not enabled:
        return "training.reranker.enabled is false"
    if questions < FEWEST_QUESTIONS:
        return f"{questions} questions are too few to learn from and to test on; it takes {FEWEST_QUESTIONS}"
    return None


def _train_reranker(
    context: dg.AssetExecutionContext, twin: Twin, compute: Compute, reranker_id: str, dataset: Dataset
) -> tuple[dict, str]:
    """Metrics of a re-ranker that was trained now and its address, which is empty where there was nothing to gain."""
    settings = twin.settings
    workdir = settings.home / "training" / reranker_id
    result = compute.launch(
        context,
        "twin_assets.train.reranker_job",
        {
            "author": context.partition_key,
            "config": str(settings.config),
            "workdir": str(workdir),
            "dataset_folder": str(dataset.folder),
        },
        python=settings.training.python,
    )
    metrics, artifact = {"released": False, **result["metrics"]}, ""
    if result["folder"]:
        least = settings.training.reranker.confidence
        metrics["released"] = metrics["confidence"] > least
        metrics["reason"] = f"a gain with confidence {metrics['confidence']:.3f}; it takes more than {least}"
        artifact = twin.artifacts.put("rerankers", Path(result["folder"]))
    shutil.rmtree(workdir, ignore_errors=True)
    return metrics, artifact
