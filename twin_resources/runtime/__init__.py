"""Dagster resources, the launcher of jobs, experiment tracking."""
