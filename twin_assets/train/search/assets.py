"""``models/search``: the hyper-parameters that suit an author and a base, found by trying."""

import hashlib
import json

import dagster as dg

from twin_assets import keys
from twin_assets.metadata import OWNERS, table
from twin_assets.partitions import AUTHORS
from twin_assets.train import assets as training_assets
from twin_resources.config.settings import SettingsError
from twin_resources.models import hub
from twin_resources.models.fingerprint import fingerprint
from twin_resources.rag import prompt
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.storage.training.searches import Trial
from twin_resources.text.identity import content_id

CODE_VERSION = "1"


class SearchConfig(dg.Config):
    """How many trials there are to be; ``training.search.trials`` without it."""

    trials: int | None = None


@dg.asset(
    key=keys.SEARCH,
    deps=[keys.INSTRUCT],
    group_name="train",
    kinds={"pytorch", "mlflow"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=CODE_VERSION,
    pool="gpu",
    description="A search for learning rate, rank, alpha, epochs and dropout, as far as twin.yaml does not set them, "
    "by the validation loss of short trainings. It starts only when a person asks. A killed one goes on. The best of "
    "all searches over the base is what the next trainings use.",
)
def search(
    context: dg.AssetExecutionContext, config: SearchConfig, twin: Twin, compute: Compute
) -> dg.MaterializeResult:
    author = twin.author(context.partition_key)
    settings = twin.settings
    training = settings.training
    dataset = twin.training_dataset(author.id)
    if dataset is None:
        raise dg.Failure(description=f"{author.id} has no instruct dataset yet; materialise datasets/instruct first")
    if not training.open:
        raise SettingsError("training sets every hyper-parameter that is searched; take some out of twin.yaml")
    base = hub.resolve(settings.models.base, settings)
    general = training_assets.general_file(settings)
    effective = training.model_dump(exclude=training_assets.WITHOUT_EFFECT - {"search"} | {"reciting", "canaries"})
    effective["search"].pop("trials")
    search_id = content_id(
        "search",
        CODE_VERSION,
        training_assets.CODE_VERSION,
        prompt.CODE_VERSION,
        dataset.id,
        settings.models.base,
        fingerprint(base),
        json.dumps([effective, training.open], sort_keys=True),
        *([hashlib.sha256(general.read_bytes()).hexdigest()] if general else []),
    )
    best = twin.searches.best(author.id, settings.models.base)
    first = [training.searched]
    if best and (known := training.with_found(best.parameters).searched) not in first:
        first.append(known)
    with twin.turn(context, [f"training of {author.id}"]):
        compute.launch(
            context,
            "twin_assets.train.search.job",
            {
                "search": search_id,
                "author": author.id,
                "author_name": author.name,
                "config": str(settings.config),
                "workdir": str(settings.home / "training" / f"search-{search_id}"),
                "dataset_id": dataset.id,
                "dataset_folder": str(twin.artifacts.folder(dataset.artifact)),
                "base": settings.models.base,
                "base_folder": str(base),
                "parameters": {**training.model_dump(mode="json"), "general": str(general) if general else None},
                "names": training.open,
                "first": first,
                "trials": config.trials or training.search.trials,
            },
            python=training.python,
            leads=settings.ray.trials > 0,
        )
    return _result(twin, author.id, search_id)


def _result(twin: Twin, author_id: str, search_id: str) -> dg.MaterializeResult:
    """What Dagster is told of a search: what it found, what is used now, and its trials."""
    found, trials = twin.searches.found(search_id), twin.searches.trials(search_id)
    used = twin.searches.best(author_id, twin.settings.models.base)
    if found is None or used is None:
        raise dg.Failure(description=f"search {search_id} ended without a result; see the logs of this step")
    states = {state: sum(trial.state == state for trial in trials) for state in ("complete", "pruned", "failed")}
    version = content_id("found", search_id, found.trials, json.dumps(dict(found.parameters), sort_keys=True))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version),
        metadata={
            "search": search_id,
            "dataset": found.dataset_id,
            "validation_loss": found.validation_loss,
            "trials_made": found.trials,
            **states,
            **found.parameters,
            "used_by_trainings": used.told(tuple(used.parameters)),
            "trials": table((_row(trial) for trial in trials), [*_row(trials[0])], total=len(trials)),
        },
    )


def _row(trial: Trial) -> dict[str, object]:
    return {
        "trial": trial.number + 1,
        **trial.parameters,
        "validation_loss": trial.loss,
        "outcome": f"{trial.state}: {trial.reason}" if trial.reason else trial.state,
    }
