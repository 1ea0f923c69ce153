"""Adapters, the re-ranker, and the search for hyper-parameters, which only a person starts."""

import dagster as dg

from twin_assets import keys
from twin_assets.automation import moved, when_data_changed, when_dataset_changed, when_inputs_were_made
from twin_assets.train.assets import dpo_adapter, reranker, sft_adapter
from twin_assets.train.checks import train_checks
from twin_assets.train.search.assets import search

defs = dg.Definitions(
    assets=[
        *moved([sft_adapter], by=when_data_changed()),
        *moved([dpo_adapter], by=when_inputs_were_made()),
        *moved([reranker], by=when_dataset_changed(keys.RETRIEVAL)),
        search,
    ],
    asset_checks=train_checks,
)
