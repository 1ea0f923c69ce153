"""The one partition dimension: authors. Never one partition a document."""

import dagster as dg

AUTHORS = dg.DynamicPartitionsDefinition(name="author")
