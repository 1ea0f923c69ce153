"""Puts into the wheel what a checkout has beside the packages; an editable install reads it where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CARRIED = {
    "dagster.yaml": "twin_serving/processes/dagster.yaml",
    "workspace.yaml": "twin_serving/processes/workspace.yaml",
    "examples/sample": "twin_serving/cli/sample",
}


class Carry(BuildHookInterface):
    """Hatchling's hook for the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"] |= {str(Path(self.root) / source): inside for source, inside in CARRIED.items()}
