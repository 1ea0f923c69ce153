"""The sensor that ends canaries."""

import dagster as dg

from twin_assets.release.automatic import settle
from twin_resources.config.settings import SettingsError
from twin_resources.runtime.resources import Twin


@dg.sensor(
    name="canaries",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Withdraws a version on canary where readers certainly fare worse on it than on the champion, and, "
    "with `approval: auto`, lets it take over once enough conversations were no worse.",
)
def canaries(context: dg.SensorEvaluationContext, twin: Twin) -> dg.SkipReason:
    """One tick: look at the canary of every author."""
    try:
        authors = twin.settings.authors
    except SettingsError as error:
        return dg.SkipReason(str(error))
    done = [said for author in authors if (said := settle(twin.of(author.id), author.id))]
    for said in done:
        context.log.warning(said)
    return dg.SkipReason("; ".join(done) or "no canary ends")
