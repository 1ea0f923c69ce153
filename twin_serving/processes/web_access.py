"""The guard in front of Dagster's and MLflow's pages, which have none: hosts, origins, and keys where keys are set.

It wraps their own ASGI applications in their own processes, so no second, unguarded port exists. A program sends
``Authorization: Bearer <key>``; a browser signs in once and keeps a cookie that says when it ends and is signed with
the key's digest, so the key itself is in no cookie and a key that is no longer set ends its sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import time
from collections.abc import Callable, Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote

import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twin_serving.api.problems import Problem
from twin_serving.api.security import bearer, check_host, is_foreign

SIGN_IN = "/twin-sign-in"
COOKIE = "twin_session"
SESSION_SECONDS = 12 * 3600
_FORM_LIMIT = 4096

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A policy of its own beside the page's: a browser obeys both. Nothing on the page may talk to another machine.
_POLICY = "connect-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; frame-ancestors 'self'"

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title>
<body style="font: 16px sans-serif; max-width: 26em; margin: 15vh auto"><h1 style="font-size: 1.3em">{title}</h1>
<p>{message}</p><form method="post" action="{action}"><label>Key <input type="password" name="key" autofocus required
autocomplete="current-password"></label> <button>Sign in</button></form></body></html>"""


class WebAccess:
    """Checks host, origin and key before ``app`` sees a request or a websocket.

    Args:
        local: whether the server listens on this machine only; then it answers to no other host name.
        digests: reads the SHA-256 of every key that may come in now, in a thread; None where no key is needed.
        open_paths: answered without a key, for health checks.
        closed: beginnings of paths that are not there for anybody.
        graphql: the path of a GraphQL endpoint, whose changes a plain link or form must not reach.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        title: str,
        local: bool,
        digests: Callable[[], Collection[bytes] | None],
        open_paths: Collection[str] = (),
        closed: Collection[str] = (),
        graphql: str | None = None,
    ) -> None:
        self.app = app
        self._title = title
        self._local = local
        self._digests = digests
        self._open = frozenset(open_paths)
        self._closed = tuple(closed)
        self._graphql = graphql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            self._check(scope)
            answer = await self._session(scope, receive)
        except Problem as problem:
            answer = JSONResponse(
                {"title": problem.title, "status": problem.status, "detail": problem.detail},
                problem.status,
                headers=problem.headers,
                media_type="application/problem+json",
            )
        if answer is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, _with_headers(send))

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._local:
            check_host(headers)
        page = scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and _navigates(headers)
        if is_foreign(headers, navigation=page):
            raise Problem(403, "wrong-origin", f"A page of another origin may not call the {self._title}.")
        path = scope["path"]
        if any(path.startswith(beginning) for beginning in self._closed):
            raise Problem(404, "not-found", "This part is switched off.")
        if path == self._graphql and scope["type"] == "http":
            self._check_graphql(scope["method"], headers, QueryParams(scope["query_string"]))

    def _check_graphql(self, method: str, headers: Headers, query: QueryParams) -> None:
        """Refuse what a link or a form of any page could send: a query in the address, a body that is not JSON."""
        if "query" in query:
            raise Problem(
                405, "method-not-allowed", "Send GraphQL as a POST with a JSON body.", headers={"Allow": "POST"}
            )
        if method == "POST" and not headers.get("content-type", "").casefold().startswith("application/json"):
            raise Problem(415, "json-needed", "Send GraphQL as JSON, with `Content-Type: application/json`.")

    async def _session(self, scope: Scope, receive: Receive) -> Response | None:
        """What to answer instead of the application: nothing for whoever may come in."""
        digests = await anyio.to_thread.run_sync(self._digests)
        if digests is None or scope["path"] in self._open:
            return None
        if scope["path"] == SIGN_IN and scope["type"] == "http":
            return await self._sign_in(Request(scope, receive), digests)
        headers = Headers(scope=scope)
        key = bearer(headers)
        if key is not None and _known(key, digests):
            return None
        if _signed_in(headers, digests):
            return None
        if scope["type"] == "http" and scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            return self._form(401, scope["path"] + (f"?{query}" if query else ""))
        raise Problem(
            401,
            "key-needed",
            "Send a key as `Authorization: Bearer <key>`, or sign in with a browser.",
            headers={"WWW-Authenticate": "Bearer"},
        )

    async def _sign_in(self, request: Request, digests: Collection[bytes]) -> Response:
        wanted = _inside(request.query_params.get("next", "/"))
        if request.method != "POST":
            return self._form(200, wanted)
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > _FORM_LIMIT:
                raise Problem(413, "too-large", "That is no key.")
        key = parse_qs(body.decode("latin-1")).get("key", [""])[0]
        digest = _known(key, digests)
        if digest is None:
            return self._form(401, wanted, "This key is not one of those that may sign in here.")
        response = RedirectResponse(wanted, 303)
        response.set_cookie(
            COOKIE,
            _signature(digest, int(time.time()) + SESSION_SECONDS),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    def _form(self, status: int, wanted: str, message: str = "Keys are set; enter one that administers.") -> Response:
        action = f"{SIGN_IN}?next={quote(wanted, safe='')}"
        page = _PAGE.format(title=html.escape(self._title), message=html.escape(message), action=html.escape(action))
        return HTMLResponse(page, status, headers={"Cache-Control": "no-store"})


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.append("Content-Security-Policy", _POLICY)
        await send(message)

    return guarded


def _navigates(headers: Headers) -> bool:
    """Whether a person opens a page: following a link from elsewhere is no attack, loading it into a page is."""
    return headers.get("sec-fetch-mode", "navigate") == "navigate" and headers.get("sec-fetch-dest", "document") in (
        "document",
        "empty",
    )


def _known(key: str, digests: Collection[bytes]) -> bytes | None:
    digest = hashlib.sha256(key.strip().encode()).digest()
    matches = [known for known in digests if hmac.compare_digest(digest, known)]
    return matches[0] if matches else None


def _signature(digest: bytes, ends: int) -> str:
    return f"{ends}.{hmac.new(digest, f'session {ends}'.encode(), 'sha256').hexdigest()}"


def _signed_in(headers: Headers, digests: Collection[bytes]) -> bool:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return False
    if morsel is None:
        return False
    ends = morsel.value.partition(".")[0]
    if not ends.isdecimal() or len(ends) > 12 or int(ends) < time.time():
        return False
    matches = [hmac.compare_digest(_signature(digest, int(ends)), morsel.value) for digest in digests]
    return any(matches)


def _inside(path: str) -> str:
    """A path of this server: never another host, however it is written."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
