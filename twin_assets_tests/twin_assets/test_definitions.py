"""The shape of the graph: a change of keys, dependencies or automation has to be meant.

After a change that is meant, write the snapshot anew with ``TWIN_WRITE_SNAPSHOT=1 pytest -k snapshot``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg

from twin_assets import definitions, keys
from twin_assets.automation import ON_GPU
from twin_assets.definitions import defs
from twin_assets.partitions import AUTHORS

SNAPSHOT = Path(__file__).parents[1] / "data" / "graph.json"


def _graph() -> dict[str, Any]:
    graph = defs.resolve_asset_graph()
    found: dict[str, Any] = {}
    for key in sorted(graph.get_all_asset_keys(), key=lambda key: key.to_user_string()):
        node = graph.get(key)
        checks = {check.name: graph.get_check_spec(check).blocking for check in graph.get_check_keys_for_assets({key})}
        found[key.to_user_string()] = {
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "group": node.group_name,
            "automation": node.automation_condition.get_label() if node.automation_condition else None,
            "pools": sorted(node.pools or ()),
            "checks": {name: "blocking" if checks[name] else "warning" for name in sorted(checks)},
        }
    return found


def test_snapshot_of_keys_dependencies_automation_and_checks() -> None:
    found = _graph()
    if os.environ.get("TWIN_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_dagster_finds_one_definitions_object() -> None:
    """A second one, whatever its name, and no code server loads the module."""
    assert [name for name, value in vars(definitions).items() if isinstance(value, dg.Definitions)] == ["defs"]


def test_every_asset_says_what_it_is() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.group_name != "default", key
        assert node.owners, key
        assert node.kinds, key
        assert node.partitions_def == AUTHORS, key
        if node.is_materializable:
            assert node.code_version, key


def test_the_lanes_cover_every_automated_asset_once() -> None:
    repository = defs.get_repository_def()
    lanes = {
        name: repository.get_sensor_def(name).asset_selection.resolve(defs.resolve_asset_graph())
        for name in ("cpu_automation", "gpu_automation")
    }
    assert not lanes["cpu_automation"] & lanes["gpu_automation"]
    graph = defs.resolve_asset_graph()
    automated = {key for key in graph.get_all_asset_keys() if graph.get(key).automation_condition}
    assert automated <= lanes["cpu_automation"] | lanes["gpu_automation"]
    assert keys.SFT_ADAPTER in lanes["gpu_automation"]
    for name in ("cpu_automation", "gpu_automation", "collection", "recovery", "canaries"):
        assert repository.get_sensor_def(name).default_status is dg.DefaultSensorStatus.RUNNING


def test_what_takes_the_accelerator_is_launched_with_it() -> None:
    graph = defs.resolve_asset_graph()
    pooled = {key for key in graph.get_all_asset_keys() if "gpu" in (graph.get(key).pools or ())}
    assert pooled == ON_GPU.resolve(graph)


def test_nothing_follows_from_itself() -> None:
    """Feedback would close a circle: what is served is asked, corrected, preferred, trained and served."""
    order = defs.resolve_asset_graph().toposorted_asset_keys
    assert order.index(keys.INTERACTIONS) < order.index(keys.DPO_ADAPTER) < order.index(keys.SERVING)


def test_what_serving_reports_stands_in_the_graph() -> None:
    graph = defs.resolve_asset_graph()
    for key in (keys.SERVING, keys.INTERACTIONS, keys.BLIND_TESTS):
        assert graph.has(key)
        assert not graph.get(key).is_materializable
