"""What of a call goes into its trace, and where traces go."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from twin_resources.config.settings import Settings
from twin_resources.retrieval.search import Hit
from twin_resources.storage.keys import key_of_ours
from twin_resources.telemetry.calls import Found

if TYPE_CHECKING:
    from twin_resources.telemetry.traces import Traces


def traces_of(settings: Settings) -> Traces | None:
    """Where the calls of this API are told; None where nowhere."""
    chosen = settings.monitoring.traces
    address = settings.mlflow_url if chosen.mlflow else None
    if not chosen.share or not (address or chosen.otlp):
        return None
    from twin_resources.telemetry import exporters
    from twin_resources.telemetry.traces import Traces

    places = {}
    if address:
        places["MLflow"] = exporters.Mlflow(address, (settings.home / "mlflow").as_uri(), lambda: key_of_ours(settings))
    if chosen.otlp:
        places[chosen.otlp] = exporters.otlp(chosen.otlp)
    return Traces(places, share=chosen.share, text=chosen.text)


def found_passages(hits: Iterable[Hit]) -> tuple[Found, ...]:
    """Passages as a trace tells of them."""
    return tuple(
        Found(hit.chunk_id, hit.url, float(hit.score), {name: float(value) for name, value in hit.scores.items()})
        for hit in hits
    )


def began(milliseconds: float) -> float:
    """When something began that ends now, in seconds since 1970."""
    return time.time() - milliseconds / 1000
