"""What the graph and the API both use: settings, Postgres, vectors, artifacts, models, engines and sources.

This package imports nothing else of ours, so any process can use it: the asset graph, the API and the training jobs.
"""
