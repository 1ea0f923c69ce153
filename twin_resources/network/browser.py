"""A real Chromium for pages that only exist after their scripts ran, and for what the author sees when signed in.

The browser itself has no way to the network: every request of a page is answered through the source's
:class:`~twin_resources.network.client.HttpClient`, so the same hosts, addresses, limits and crawl policy hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twin_resources.errors import SourceError
from twin_resources.network.addresses import shown
from twin_resources.network.client import HttpClient
from twin_resources.network.errors import RequestError

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Route

_PARTS_LEFT_OUT = frozenset({"image", "media", "font", "texttrack", "websocket", "manifest", "other"})
_PATIENT_PARTS = frozenset({"document", "xhr", "fetch"})
_HEADERS_LEFT_OUT = frozenset({
    "host", "connection", "content-length", "accept-encoding", "user-agent", "cookie", "sec-ch-ua", "sec-ch-ua-mobile",
    "sec-ch-ua-platform", "upgrade-insecure-requests",
})  # fmt: skip
_ANSWER_HEADERS = frozenset({"content-type", "set-cookie", "access-control-allow-origin", "location", "etag"})
_NO_BROWSER = "this needs a browser: pip install 'llm-twin[browser]', then apt-get install chromium"
_MAX_SCROLLS = 400
_MAX_REDIRECTS = 5
_QUIET_SCROLLS = 3
_SETTLE_MS = 300


def chromium() -> str | None:
    """The browser to drive: an installed one, else Playwright's own."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    own = sorted((Path.home() / ".cache" / "ms-playwright").glob("chromium*/chrome-linux*/chrome"))
    return str(own[-1]) if own else None


@contextlib.contextmanager
def open_browser(web: HttpClient, state: Path | None = None) -> Iterator[Browser]:
    """A browser whose pages reach the network through ``web`` only.

    Args:
        state: a browser state that ``twin login`` saved; its cookies go to the hosts they belong to.

    Raises:
        SourceError: there is no Playwright or no Chromium here, or the state cannot be read.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise SourceError(
            "this needs a browser: pip install 'llm-twin[browser]', then apt-get install chromium"
        ) from None
    found = chromium()
    if found is None:
        raise SourceError(_NO_BROWSER)
    cookies = read_state(state)
    arguments = ["--disable-gpu", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses to start as root with its sandbox
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=found, args=arguments)
        except Error as problem:
            raise SourceError(f"Chromium does not start: {str(problem).splitlines()[0]}; see `twin doctor`") from None
        try:
            context = started.new_context(
                storage_state=cookies,
                service_workers="block",
                user_agent=web.policy.user_agent,
                accept_downloads=False,
            )
            yield Browser(web, context)
        finally:
            started.close()


class Browser:
    """Pages of one browser; made by :func:`open_browser`."""

    def __init__(self, web: HttpClient, context: BrowserContext) -> None:
        self._web = web
        self._context = context
        self._problem: RequestError | None = None
        self._led_to: str | None = None
        context.route("**/*", self._answer)

    def scroll(self, url: str, take: Callable[[Page], int], limit: int = 5000) -> bool:
        """Open ``url`` and scroll down until nothing new comes; ``take`` reads the page and says how much it has.

        Returns:
            Whether the end was reached, rather than ``limit``.

        Raises:
            RequestError: the page cannot be had.
        """
        with self._page(url) as page:
            count, quiet = take(page), 0
            for _ in range(_MAX_SCROLLS):
                page.mouse.wheel(0, 20_000)
                page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
                page.wait_for_timeout(_SETTLE_MS)
                if self._problem is not None:
                    raise self._problem
                now = take(page)
                quiet = quiet + 1 if now <= count else 0
                count = now
                if quiet >= _QUIET_SCROLLS:
                    return True
                if count >= limit:
                    return False
        return False

    def read(self, url: str) -> tuple[str, str]:
        """The address that ``url`` led to, and its markup after the scripts ran.

        Raises:
            RequestError: the page cannot be had.
        """
        with self._page(url) as page:
            return page.url, page.content()

    @contextlib.contextmanager
    def _page(self, url: str) -> Iterator[Page]:
        from playwright.sync_api import Error

        self._problem = None
        page = self._context.new_page()
        try:
            self._go(page, url)
            with contextlib.suppress(Error):
                page.wait_for_load_state("networkidle", timeout=10_000)
            if self._problem is not None:
                raise self._problem
            yield page
        except Error as problem:
            raise self._problem or RequestError(
                f"{shown(url)}: {str(problem).splitlines()[0]}; try again later"
            ) from None
        finally:
            page.close()

    def _go(self, page: Page, url: str) -> None:
        from playwright.sync_api import Error

        for _ in range(_MAX_REDIRECTS):
            self._led_to = None
            try:
                page.goto(url, wait_until="load", timeout=60_000)
                return
            except Error:
                if self._led_to is None:
                    raise
                url = self._led_to
        raise RequestError(f"{shown(url)}: leads in circles; open it in a browser")

    def _answer(self, route: Route) -> None:
        request = route.request
        if request.resource_type in _PARTS_LEFT_OUT or urlsplit(request.url).scheme not in ("http", "https"):
            route.abort()
            return
        is_page = request.resource_type == "document"
        headers = {name: value for name, value in request.headers.items() if name not in _HEADERS_LEFT_OUT}
        jar = self._context.cookies(request.url)
        if jar:
            headers["cookie"] = "; ".join(f"{cookie.get('name')}={cookie.get('value')}" for cookie in jar)
        try:
            answer = self._web.send(
                request.method,
                request.url,
                headers=headers,
                body=request.post_data_buffer or b"",
                pause=request.resource_type in _PATIENT_PARTS,
                robots=is_page,
            )
        except RequestError as problem:
            # A script of another host is left out, as a blocker would; the page itself is what was asked for.
            if is_page and request.frame.parent_frame is None:
                self._problem = problem
            route.abort()
            return
        if is_page and answer.url != request.url and request.frame.parent_frame is None:
            # Chromium would follow a redirect by itself, past us; so the page is opened where it leads.
            self._led_to = answer.url
            route.fulfill(status=204)
            return
        route.fulfill(
            status=answer.status,
            headers={name: value for name, value in answer.headers.items() if name in _ANSWER_HEADERS},
            body=answer.content,
        )


def read_state(path: Path | None) -> Any:
    """The cookies of a saved browser state, or None without one.

    Raises:
        SourceError: the file is missing, not such a state, or readable for others.
    """
    if path is None:
        return None
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise SourceError(f"{path}: no saved browser state there; `twin login` saves one") from None
    if mode & 0o077:
        raise SourceError(f"{path}: others can read it, and it signs in as you; chmod 600 {path}")
    if not isinstance(state, dict) or not isinstance(state.get("cookies"), list):
        raise SourceError(f"{path}: not a saved browser state; `twin login` saves one")
    return state


def cookie_header(path: Path, url: str, now: float) -> str:
    """The cookies of a saved state that belong to ``url`` and are still good, as a header.

    Raises:
        SourceError: as :func:`read_state`.
    """
    host = urlsplit(url).hostname or ""
    found = []
    for cookie in read_state(path)["cookies"]:
        domain, expires = str(cookie.get("domain") or ""), float(cookie.get("expires") or -1)
        is_meant = host == domain.lstrip(".") or (domain.startswith(".") and host.endswith(domain))
        if is_meant and (expires < 0 or expires > now):
            found.append(f"{cookie.get('name')}={cookie.get('value')}")
    return "; ".join(found)


def sign_in(url: str, path: Path, wait: Callable[[], None]) -> int:
    """Show a browser at ``url``, wait until the author has signed in, and save its state for their eyes only.

    Returns:
        The number of cookies that were saved.

    Raises:
        SourceError: there is no Playwright, no Chromium or no screen here.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise SourceError(
            "this needs a browser: pip install 'llm-twin[browser]', then apt-get install chromium"
        ) from None
    try:
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            started = playwright.chromium.launch(executable_path=chromium(), headless=False, args=arguments)
            context = started.new_context()
            context.new_page().goto(url)
            wait()
            state = context.storage_state()
            started.close()
    except Error as problem:
        raise SourceError(
            f"no browser can be shown here ({str(problem).splitlines()[0]}); run `twin login` where there is a screen, "
            f"and copy the file to {path}"
        ) from None
    return write_state(state, path)


def write_state(state: Any, path: Path) -> int:
    """Save a browser state as a file that only its owner can read; returns the number of its cookies."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    staging = path.with_suffix(".part")
    staging.unlink(missing_ok=True)
    with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(state, file)
    staging.replace(path)
    return len(state.get("cookies", ()))
