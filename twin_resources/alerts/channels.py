"""Telling people: a webhook, Slack, e-mail. Each goes to an address that stands in the settings, and nowhere else."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage

import httpx

from twin_resources.config.monitoring import AlertSettings, EmailSettings
from twin_resources.errors import TwinError
from twin_resources.network.authorities import authorities
from twin_resources.storage.alerts import Notice

_SECONDS = 10.0


class ChannelError(TwinError):
    """Nobody could be told."""


Channel = Callable[[Notice], None]
"""Tells one notice; raises :class:`ChannelError`."""


def channels(settings: AlertSettings) -> dict[str, Channel]:
    """The configured ways to tell people, by name."""
    found: dict[str, Channel] = {}
    if settings.webhook is not None:
        address = settings.webhook.get_secret_value()
        found["webhook"] = lambda notice: _post("webhook", address, notice.as_dict())
    if settings.slack is not None:
        hook = settings.slack.get_secret_value()
        found["slack"] = lambda notice: _post("slack", hook, {"text": notice.line()})
    if settings.email is not None:
        mail = settings.email
        found["email"] = lambda notice: _mail(mail, notice)
    return found


def _post(name: str, address: str, body: dict) -> None:
    try:
        httpx.post(address, json=body, timeout=_SECONDS, trust_env=False, verify=authorities()).raise_for_status()
    except httpx.HTTPStatusError as error:
        raise ChannelError(f"{name}: answered {error.response.status_code}; check its address") from None
    except httpx.HTTPError as error:  # its text may hold the address, which is a secret
        raise ChannelError(f"{name}: {type(error).__name__}; check its address") from None


def _mail(settings: EmailSettings, notice: Notice) -> None:
    message = EmailMessage()
    message["From"], message["To"] = settings.sender, ", ".join(settings.to)
    message["Subject"] = notice.subject()
    message.set_content(notice.line() + "\n")
    host, _, port = settings.server.rpartition(":")
    try:
        with smtplib.SMTP(host, int(port), timeout=_SECONDS) as server:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.user and settings.password:
                server.login(settings.user, settings.password.get_secret_value())
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise ChannelError(f"email: {settings.server}: {type(error).__name__}; check monitoring.alerts.email") from None
