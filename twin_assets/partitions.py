"""The one partition dimension: authors. Never one partition a document."""

import dagster as dg

AUTHORS = dg.DynamicPartitionsDefinition(name="author")
PARTITION_TAG = "dagster/partition"
"""The tag of a run that says whose it is."""
