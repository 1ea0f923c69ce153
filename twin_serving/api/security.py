"""Who may call, from where, and what a browser may do with the answer.

Without keys the API only listens on this machine, and a page from elsewhere can neither read from it (no CORS) nor
write to it (its ``Origin`` differs), nor reach it by a name of its own (DNS rebinding: the ``Host`` differs).
"""

from __future__ import annotations

import ipaddress
import logging
import time
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twin_resources.config.settings import Settings, SettingsError
from twin_resources.database import authors
from twin_resources.storage.calls.interactions import trace_id
from twin_serving.answering.errors import NotReady
from twin_serving.answering.metrics import Monitor
from twin_serving.api.keys import ADMIN, Grant, KeyRing, TooOften
from twin_serving.api.pages import BY_PATH
from twin_serving.api.problems import Problem, problem_of, respond
from twin_serving.api.requests import wants_page

log = logging.getLogger(__name__)

OPEN_PATHS = ("/healthz", "/healthz/ready")
OPEN_FOLDER = "/page/"
_WITHOUT_DATABASE = ("/readyz", "/openapi.json", "/metrics")
_NOTHING = Grant("reader", ())

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    host = host.strip("[]").casefold().rstrip(".")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_binding(settings: Settings, host: str | None = None) -> None:
    """Refuse to listen on anything but this machine without API keys.

    Args:
        host: the address of Dagster's or MLflow's pages; the API's by default.

    Raises:
        SettingsError: the address is another one and ``TWIN_API_KEYS`` is empty.
    """
    if host is not None and not is_loopback(host) and not settings.keys:
        raise SettingsError(
            f"--host {host} would open this server to the network without any key; set TWIN_API_KEYS to one or more "
            "secrets, separated by commas, or leave --host out"
        )
    if host is None and not is_loopback(settings.host) and not settings.keys:
        raise SettingsError(
            f"TWIN_HOST={settings.host} would open the API to the network without any key; set TWIN_API_KEYS to one "
            "or more secrets, separated by commas, or leave TWIN_HOST at 127.0.0.1"
        )


def check_host(headers: Headers) -> None:
    """Refuse a request that came here under a name that is not this machine's (DNS rebinding).

    Raises:
        Problem: 421.
    """
    host = headers.get("host", "")
    if not is_loopback(_host(host)):
        raise Problem(
            421, "wrong-host", f"This server answers at localhost only, not at {host!r}; set TWIN_HOST to open the API."
        )


def is_foreign(headers: Headers, *, navigation: bool = False) -> bool:
    """Whether a page of another origin makes a browser send this request.

    Args:
        navigation: whether a person may be following a link, which is allowed from anywhere.
    """
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.casefold() != headers.get("host", "").casefold():
        return True
    return not navigation and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def bearer(headers: Headers) -> str | None:
    """The key of ``Authorization: Bearer <key>``, if that is what was sent."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.casefold() == "bearer" else None


class Observation:
    """The outermost layer: gives each request a trace id, counts it, sets the security headers, and turns whatever
    goes wrong inside into a problem."""

    def __init__(self, app: ASGIApp, monitor: Monitor) -> None:
        self.app = app
        self.monitor = monitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        trace = trace_id()
        scope.setdefault("state", {})["trace_id"] = trace
        start = time.perf_counter()
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Trace-Id"] = trace
                headers.setdefault("Cache-Control", "no-store")
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, observed)
        except Exception as error:
            if status:
                log.exception("trace %s: the response broke off", trace)
                raise
            await respond(scope, problem_of(error))(scope, receive, observed)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self.monitor.seen(route, scope["method"], status, time.perf_counter() - start)
            if kind := scope["state"].get("problem"):
                self.monitor.errors.labels(route, kind).inc()
            if status >= 500 and status != 503:
                log.error("trace %s: %s %s answered %d", trace, scope["method"], scope["path"], status)


class AccessControl:
    """Checks host, origin and key before anything else looks at a request, and lets it see only its key's authors.

    Args:
        local: whether the API listens on this machine only; then it answers to no other host name.
        ring: the keys that are taken.
    """

    def __init__(self, app: ASGIApp, *, local: bool, ring: KeyRing) -> None:
        self.app = app
        self._local = local
        self._ring = ring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            grant = await self._grant(scope)
        except (Problem, NotReady, TooOften) as error:
            await respond(scope, problem_of(error))(scope, receive, send)
            return
        scope["state"]["grant"] = grant
        try:
            with authors.allow(grant.authors):
                await self.app(scope, receive, send)
        finally:
            await self._charge(scope, grant)

    async def _charge(self, scope: Scope, grant: Grant) -> None:
        """Note what the answer took, also where its reader went before its end."""
        writing = scope["state"].get("writing")
        if writing is not None and writing.spent:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._ring.spend, grant, writing.spent)

    async def _grant(self, scope: Scope) -> Grant:
        headers = Headers(scope=scope)
        if self._local:
            check_host(headers)
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and is_foreign(headers):
            raise Problem(403, "wrong-origin", "A page of another origin may not call this API.")
        path = scope["path"]
        page = BY_PATH.get(path) if scope["method"] in ("GET", "HEAD") else None
        looks = page is not None and (not page.data or wants_page(headers))
        if looks or path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return _NOTHING
        if not self._ring.fresh():
            await anyio.to_thread.run_sync(self._ring.read)
        key = bearer(headers)
        grant = None if key is None else self._ring.grant(key)
        if key is not None and grant is None:  # it may be new
            await anyio.to_thread.run_sync(self._ring.read, 0.0)
            grant = self._ring.grant(key)
        unknown = grant is None and (key is not None or not self._ring.needed)
        if unknown and not self._ring.loaded and path not in _WITHOUT_DATABASE:
            raise NotReady("the database", "which keys there are is not known yet")
        if grant is not None:
            self._ring.count(grant)
        if not self._ring.needed:
            return grant or ADMIN
        if grant is None:
            raise Problem(
                401,
                "key-needed",
                "Send one of the keys in TWIN_API_KEYS, or one that `twin keys create` made, as "
                "`Authorization: Bearer <key>`.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return grant


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
