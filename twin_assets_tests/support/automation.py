"""What the automation sensors ask for, evaluated once."""

from __future__ import annotations

import contextlib
import functools
from typing import Any
from unittest.mock import patch

import dagster as dg
from dagster._core.definitions.declarative_automation.automation_condition_tester import (
    EvaluateAutomationConditionsResult,
)


def evaluate(defs: dg.Definitions, instance: dg.DagsterInstance, **more: Any) -> EvaluateAutomationConditionsResult:
    """``dg.evaluate_automation_conditions``, which reads the authors once as the daemon does and not some 400 times."""
    with contextlib.ExitStack() as once:
        for read in (instance.get_dynamic_partitions, instance.has_dynamic_partition):
            once.enter_context(patch.object(instance, read.__name__, functools.cache(read)))
        return dg.evaluate_automation_conditions(defs=defs, instance=instance, **more)
