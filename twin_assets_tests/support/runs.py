"""A job of Dagster that says where it ran."""

from __future__ import annotations

import os
import time

import dagster as dg


@dg.op
def say() -> None:
    context = dg.OpExecutionContext.get()
    context.add_output_metadata({name: os.environ.get(name, "") for name in ("TWIN_KUBERNETES__POD", "TWIN_SECRET")})


@dg.op
def wait() -> None:
    time.sleep(600)


@dg.job
def saying() -> None:
    say()


@dg.job
def waiting() -> None:
    wait()
