"""What the automation sensors ask for, evaluated once."""

from __future__ import annotations

import functools
from typing import Any
from unittest.mock import patch

import dagster as dg
from dagster._core.definitions.declarative_automation.automation_condition_tester import (
    EvaluateAutomationConditionsResult,
)


def evaluate(defs: dg.Definitions, instance: dg.DagsterInstance, **more: Any) -> EvaluateAutomationConditionsResult:
    """``dg.evaluate_automation_conditions``, which reads the authors once as the daemon does and not some 400 times."""
    with patch.object(instance, "get_dynamic_partitions", functools.cache(instance.get_dynamic_partitions)):
        return dg.evaluate_automation_conditions(defs=defs, instance=instance, **more)
