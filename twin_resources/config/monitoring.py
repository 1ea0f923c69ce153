"""The section ``monitoring``: when something is wrong, and who is told."""

from __future__ import annotations

import re

from pydantic import Field, SecretStr, field_validator

from twin_resources.config.section import Section


class EmailSettings(Section):
    """A mail server, and who gets a letter from it."""

    to: tuple[str, ...] = Field(min_length=1)
    sender: str
    server: str = Field("localhost:25", description="host:port")
    starttls: bool = Field(True, description="encrypt before anything is said; a server on this machine may do without")
    user: str | None = None
    password: SecretStr | None = None

    @field_validator("server")
    @classmethod
    def _with_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"write host:port, for example smtp.example.org:587, not {value!r}")
        return value


class AlertSettings(Section):
    """Who is told when something is wrong, and how often. Without an address alerts only show."""

    webhook: SecretStr | None = Field(None, description="gets each alert as JSON")
    slack: SecretStr | None = Field(None, description="an incoming webhook of Slack, or of what takes the same")
    email: EmailSettings | None = None
    patience: int = Field(2, ge=1, le=20, description="times in a row that something has to be wrong, or well again")
    remind_hours: float = Field(24, gt=0, description="an alert that nobody acknowledged is told again after this time")
    pause_releases: bool = Field(
        True, description="with approval: auto, no adapter takes over while requests fail or are slow"
    )
    roll_back: bool = Field(False, description="the champion before answers again where too many ratings are down")

    @field_validator("webhook", "slack")
    @classmethod
    def _is_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("write an address that begins with https:// or http://")
        return value


class TraceSettings(Section):
    """Where calls are told as OpenTelemetry traces, and how much of them."""

    mlflow: bool = Field(True, description="to MLflow, where `twin up` or TWIN_MLFLOW_URL says where it is")
    otlp: str | None = Field(
        None,
        description="a collector's traces, http://host:4318/v1/traces; its key is in OTEL_EXPORTER_OTLP_HEADERS",
    )
    share: float = Field(1.0, ge=0, le=1, description="of the calls")
    text: bool = Field(True, description="questions, prompts and answers too, not only figures and addresses")

    @field_validator("otlp")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#@]+[^\s?#]*", value):
            raise ValueError("write http://host:port/v1/traces, without a name or password")
        return value


class MonitoringSettings(Section):
    """What is wrong with an author's twin, and how long what readers asked is kept."""

    window_days: int = Field(7, ge=1)
    max_error_share: float = Field(0.05, ge=0, le=1)
    max_down_share: float = Field(0.3, ge=0, le=1)
    max_p95_ms: float = Field(30_000, gt=0, description="within which 95% of the answers have to end")
    stale_days: int = Field(30, ge=1, description="sources of a scheduled author that were not read for this long")
    retain_days: int = Field(90, ge=1)
    traces: TraceSettings = TraceSettings()  # pyright: ignore[reportCallIssue]
    alerts: AlertSettings = AlertSettings()  # pyright: ignore[reportCallIssue]
