"""Where answers come from and what a document touched."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from twin_serving.api.schemas.base import Out


class LineageOut(Out):
    """Of a URL: the documents and all they touched. Of a trace: passages, adapter, dataset and its documents. Of a
    sample: the datasets it is in, and the passages it was made of with the versions of their documents."""

    model_config = ConfigDict(extra="allow")

    links: dict[str, str] = Field(description="pages of Dagster and MLflow about it, where those are reachable")
