"""A job that reports what it was started with, unless it is told to do otherwise."""

from __future__ import annotations

import os
import sys
import time

from dagster_pipes import open_dagster_pipes

from twin_resources.runtime.processes import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    with open_dagster_pipes() as pipes:
        told = pipes.get_extra("do")
        print(f"told to {told}, über alles", flush=True)
        pipes.log.info("begun")
        if told == "sleep":
            time.sleep(600)
        if told == "fail":
            raise RuntimeError("no reason but to fail")
        if told == "report":
            seen = {name: os.environ.get(name) for name in pipes.get_extra("variables")}
            pipes.report_custom_message({"early": True})
            pipes.report_custom_message({"extras": pipes.extras, "seen": seen, "long": "ä" * 40_000})
    sys.exit(0)
