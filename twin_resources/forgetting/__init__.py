"""Taking an author's text out of everything we keep: rows, files, and what Dagster and MLflow wrote down."""
