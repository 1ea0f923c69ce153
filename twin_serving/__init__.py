"""The API that answers as an author's twin; imports neither Dagster nor the asset graph."""
