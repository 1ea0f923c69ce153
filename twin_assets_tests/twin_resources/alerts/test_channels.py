"""Who is told, over real servers on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from pydantic import ValidationError

from twin_assets_tests.support.processes import free_ports
from twin_resources.alerts.conditions import Condition
from twin_resources.alerts.watch import watch
from twin_resources.config.monitoring import AlertSettings
from twin_resources.storage.alerts import Alerts

BROKEN = Condition("dead_daemon", None, "bad", "the daemon is dead")
WELL = Condition("dead_daemon", None, "good", "the daemon lives")


class Inbox:
    """A web server that keeps what it gets and answers with ``status``."""

    def __init__(self) -> None:
        self.status, self.got = 200, []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.got.append((self.path, json.loads(body)))
                self.send_response(inbox.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


class Letters:
    """A mail server's handler that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.got.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 kept"


@pytest.fixture
def letters() -> Iterator[tuple[Letters, str]]:
    handler, (port,) = Letters(), free_ports(1)
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, f"127.0.0.1:{port}"
    controller.stop()


def test_a_webhook_and_slack_are_told_when_it_opens_and_when_it_closes(engine: sa.Engine, inbox: Inbox) -> None:
    settings = AlertSettings.model_validate(
        {"webhook": f"{inbox.url}/hook", "slack": f"{inbox.url}/slack", "patience": 1}
    )
    alerts = Alerts(engine)
    watch(alerts, [BROKEN], settings)
    watch(alerts, [BROKEN], settings)
    assert [path for path, _ in inbox.got] == ["/hook", "/slack"], "once each"
    hook, slack = (body for _, body in inbox.got)
    assert (hook["event"], hook["rule"], hook["author"]) == ("opened", "dead_daemon", None)
    assert slack["text"].startswith("[twin] all authors: dead_daemon opened: the daemon is dead. `twin alerts")
    watch(alerts, [WELL], settings)
    assert [body["event"] for path, body in inbox.got if path == "/hook"] == ["opened", "closed"]


def test_a_letter_goes_to_everybody(engine: sa.Engine, letters: tuple[Letters, str]) -> None:
    handler, server = letters
    mail = {"to": ["ada@example.org", "bo@example.org"], "sender": "twin@example.org", "server": server}
    settings = AlertSettings.model_validate({"email": {**mail, "starttls": False}, "patience": 1})
    watch(Alerts(engine), [BROKEN], settings)
    ((to, letter),) = handler.got
    assert to == ["ada@example.org", "bo@example.org"]
    assert letter["Subject"] == "[twin] all authors: dead_daemon opened"
    assert "the daemon is dead" in letter.get_payload()


def test_what_could_not_be_told_is_told_later(
    engine: sa.Engine, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    secret = f"{inbox.url}/s3cret-hook"
    settings = AlertSettings.model_validate({"webhook": secret, "patience": 1})
    alerts = Alerts(engine)
    inbox.status = 500
    assert watch(alerts, [BROKEN], settings) == []
    assert "webhook: answered 500" in caplog.text
    assert "s3cret" not in caplog.text, "the address is a secret"
    inbox.status = 200
    assert [notice.event for notice in watch(alerts, [BROKEN], settings)] == ["opened"]


def test_one_channel_that_is_gone_keeps_nobody_else_from_being_told(
    engine: sa.Engine, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    (nobody,) = free_ports(1)
    settings = AlertSettings.model_validate(
        {
            "webhook": f"{inbox.url}/hook",
            "slack": f"http://127.0.0.1:{nobody}/slack",
            "email": {"to": ["ada@example.org"], "sender": "twin@example.org", "server": f"127.0.0.1:{nobody}"},
            "patience": 1,
        }
    )
    assert len(watch(Alerts(engine), [BROKEN], settings)) == 1
    assert len(inbox.got) == 1
    assert "slack: ConnectError" in caplog.text
    assert "email: 127.0.0.1" in caplog.text


def test_without_a_channel_alerts_only_show(engine: sa.Engine) -> None:
    alerts = Alerts(engine)
    watch(alerts, [BROKEN], AlertSettings(patience=1))
    assert [each.text for each in alerts.list()] == ["the daemon is dead"]


@pytest.mark.parametrize(
    "wrong", [{"webhook": "example.org"}, {"email": {"to": [], "sender": "a"}}, {"email": {"to": ["a"], "server": "x"}}]
)
def test_a_wrong_address_is_said(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AlertSettings.model_validate(wrong)
