"""From conditions to people: what is observed is kept, and what is due is told."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from twin_resources.alerts.channels import ChannelError, channels
from twin_resources.alerts.conditions import Condition
from twin_resources.config.monitoring import AlertSettings
from twin_resources.storage.alerts import ONCE, Alerts, Notice

log = logging.getLogger(__name__)


def watch(alerts: Alerts, conditions: Iterable[Condition], settings: AlertSettings) -> list[Notice]:
    """Keep what was observed, and tell what is due; returns what was told.

    What no channel took stays due and is told the next time. Without a channel all counts as told, and shows in
    ``twin alerts``.
    """
    for each in conditions:
        patience = 1 if each.rule in ONCE else settings.patience
        alerts.observe(each.rule, each.author, each.state, each.text, patience=patience)
    ways = channels(settings)
    told = []
    for notice in alerts.due(timedelta(hours=settings.remind_hours)):
        reached = not ways
        for name, tell in ways.items():
            try:
                tell(notice)
                reached = True
            except ChannelError as error:
                log.warning("an alert was not told by %s: %s", name, error)
        if reached:
            alerts.told(notice)
            told.append(notice)
    return told
