"""The HTTP client of collecting.

Every source asks through a :class:`HttpClient`. It says who it is, obeys robots.txt and ``Retry-After``, asks a host
slowly and one request at a time, and goes only to hosts that the author named or that belong to the platform. A name is
resolved once, every address it has is checked, and the connection is made to that very address, so a name cannot turn
into an address of the local network between check and use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

from twin_resources.network import body as body_of
from twin_resources.network import robots
from twin_resources.network.addresses import CheckedBackend, Resolve, ascii_host, joined, resolve, shown
from twin_resources.network.errors import Refused, Unavailable
from twin_resources.network.policy import Clock, CrawlPolicy
from twin_resources.network.rate_limit import turn
from twin_resources.network.response import Response, Validators

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FOR_GOOD = frozenset({301, 308})
_LATER = frozenset({429, 500, 502, 503, 504})
_SECRET = frozenset({"authorization", "cookie"})
_ERROR_BYTES = 64 * 1024


class HttpClient:
    """Asks hosts for one source, politely to the hosts it asks and closed to everything else.

    Args:
        hosts: the only hosts that may be asked; ``*.example.org`` also stands for every host below it.
        secrets: headers for a host, sent to that very host and never after a redirect to another one.
        apis: hosts whose documented interface is used with the author's own leave; robots.txt is for crawlers and is
            not asked there.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        *,
        policy: CrawlPolicy | None = None,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        apis: Iterable[str] = (),
        clock: Clock | None = None,
        find: Resolve | None = None,
    ) -> None:
        self.hosts = frozenset(host.lower() for host in hosts)
        self.policy = policy or CrawlPolicy()
        self.clock = clock or Clock()
        self.requests = 0
        self._secrets = {host: dict(headers) for host, headers in (secrets or {}).items()}
        self._apis = frozenset(apis)
        self._robots = robots.Robots(self._fetch_robots)
        backend = CheckedBackend(find or resolve, self._allowed())
        self._pool = httpcore.ConnectionPool(network_backend=backend, max_connections=8, keepalive_expiry=30.0)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        accept: Iterable[str] = (),
        known: Validators | None = None,
        max_bytes: int | None = None,
        pause: bool = True,
    ) -> Response:
        """Ask for ``url``; see :meth:`send`. ``known`` makes the request conditional, so 304 has no body."""
        conditions = known.headers() if known else {}
        return self.send(
            "GET", url, headers={**(headers or {}), **conditions}, accept=accept, max_bytes=max_bytes, pause=pause
        )

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        accept: Iterable[str] = (),
        max_bytes: int | None = None,
        pause: bool = True,
        robots: bool = True,
    ) -> Response:
        """Make one request, follow its redirects and wait where the host asks for patience.

        Args:
            accept: the media types that are read; empty for all.
            pause: whether the delay between two requests is kept; pages and interfaces keep it, a page's own scripts
                need not.
            robots: whether robots.txt is obeyed; the browser asks it for pages, not for their parts.

        Returns:
            The response, whatever it says: 403, 404 and 410 are for the source to judge.

        Raises:
            Refused: the request must not be made, or the response passes a limit.
            Unavailable: no usable response after all attempts.
        """
        accept = tuple(accept)
        asked, permanent = url, True
        for _ in range(self.policy.max_redirects + 1):
            host = self._check(url)
            if robots:
                self._obey(url, host)
            response = self._patiently(method, url, host, headers or {}, body, accept, max_bytes, pause)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                moved = permanent and url != asked
                return Response(asked, url, response.status, response.headers, response.content, moved)
            permanent = permanent and response.status in _FOR_GOOD
            target = self._logical(joined(url, location))
            if url.startswith("https:") and target.startswith("http:"):
                raise Refused(f"{shown(url)} redirects from https to http ({shown(target)}); not followed")
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                method, body = "GET", b""
            if self._check(target, before=url) != host:
                headers = {name: value for name, value in (headers or {}).items() if name.lower() not in _SECRET}
            url = target
        raise Refused(f"{shown(asked)}: more than {self.policy.max_redirects} redirects; open it in a browser")

    def allows(self, url: str) -> bool:
        """Whether ``url`` may be asked as far as scheme and host go."""
        try:
            self._check(url)
        except Refused:
            return False
        return True

    def robots_sitemaps(self, url: str) -> list[str]:
        """The sitemaps that the robots.txt of the host of ``url`` names."""
        host = self._check(url)
        self._obey(urljoin(url, "/robots.txt"), host)
        return self._robots.sitemaps(url)

    def _obey(self, url: str, host: str) -> None:
        if host not in self._apis:
            self._robots.obey(url, host)

    def _check(self, url: str, before: str | None = None) -> str:
        """The host of ``url``, if it may be asked."""
        where = f"{shown(before)} redirects to {shown(url)}" if before else shown(url)
        try:
            parts = urlsplit(url)
            host, port = ascii_host(parts.hostname or ""), parts.port
        except ValueError:
            raise Refused(f"{where}: not a web address") from None
        if parts.scheme not in ("http", "https"):
            raise Refused(f"{where}: only http and https are asked")
        if parts.username is not None or parts.password is not None:
            raise Refused(f"{where}: an address with a user name or password in it is not asked")
        if not host:
            raise Refused(f"{where}: names no host")
        if not self._is_named(host):
            raise Refused(
                f"{where}: {host} is not a host of this source; if it is yours, name it under `hosts:` of the source"
            )
        if port not in (None, 80, 443) and f"{host}:{port}" not in self.policy.private:
            raise Refused(f"{where}: port {port} is not asked; only 80 and 443 are")
        return host

    def _is_named(self, host: str) -> bool:
        if host in self.hosts:
            return True
        return any(pattern.startswith("*.") and host.endswith(pattern[1:]) for pattern in self.hosts)

    def _is_routed(self, host: str) -> bool:
        return host in self.policy.routes

    def _allowed(self) -> frozenset[str]:
        routed = set()
        for base in self.policy.routes.values():
            parts = urlsplit(base)
            routed.add(f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}")
        return self.policy.private | routed

    def _routed(self, url: str, host: str) -> str:
        """Where ``url`` is really asked: at the address that ``routes`` gives for its host, else as it stands."""
        base = self.policy.routes.get(host)
        if base is None:
            return url
        parts = urlsplit(url)
        return base.rstrip("/") + (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _logical(self, url: str) -> str:
        """The inverse of :meth:`_routed`, for links that a server which is asked under a route writes of itself."""
        for host, base in self.policy.routes.items():
            base = base.rstrip("/")
            if url == base or url.startswith((f"{base}/", f"{base}?")):
                return f"https://{host}{url[len(base) :]}"
        return url

    def _fetch_robots(self, where: str, host: str) -> Response | None:
        url = f"{where}/robots.txt"
        for _ in range(self.policy.max_redirects):
            response = self._patiently("GET", url, host, {}, b"", (), robots.MAX_BYTES, True)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return response
            url = self._logical(joined(url, location))
            host = self._check(url, before=where)
        return None

    def _delay(self, url: str) -> float:
        return max(self.policy.delay, self._robots.delay(url))

    def _patiently(
        self,
        method: str,
        url: str,
        host: str,
        headers: Mapping[str, str],
        body: bytes,
        accept: tuple[str, ...],
        max_bytes: int | None,
        pause: bool,
    ) -> Response:
        waited, why = 0.0, ""
        for attempt in range(1, self.policy.attempts + 1):
            wait = 0.0
            try:
                with turn(host, self.clock, self._delay(url) if pause else 0.0, self.policy.locks):
                    response = self._ask(method, url, host, headers, body, accept, max_bytes)
            except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, TimeoutError) as problem:
                why = _said(problem)
            else:
                wait = self._told(response)
                if response.status not in _LATER and not wait:
                    return response
                why = f"HTTP {response.status}"
                if wait > self.policy.longest_wait:
                    raise Unavailable(
                        f"{shown(url)}: {why}; {host} asks to wait {wait:.0f} s, which is longer than "
                        f"{self.policy.longest_wait:.0f} s; the next collection tries again"
                    )
            if attempt < self.policy.attempts:
                wait = wait or min(2.0**attempt, 60.0) * (0.5 + self.clock.jitter() / 2)
                waited += wait
                self.clock.sleep(wait)
        raise Unavailable(
            f"{shown(url)}: {why}, {self.policy.attempts} times in {waited:.0f} s; the next collection tries again"
        )

    def _told(self, response: Response) -> float:
        """Seconds the host asks to wait: ``Retry-After``, or the reset of a used-up rate limit; 0 without any."""
        if response.status in _LATER or response.status == 403:
            told = response.headers.get("retry-after", "").strip()
            if told.isdigit():
                return max(float(told), 0.001)
            if told:
                with contextlib.suppress(ValueError, TypeError):
                    moment = parsedate_to_datetime(told)
                    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                    return max((moment - self.clock.now()).total_seconds(), 0.001)
            reset = response.headers.get("x-ratelimit-reset", "")
            if response.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
                return max(float(reset) - self.clock.now().timestamp() + 1, 0.001)
        return 0.0

    def _ask(
        self,
        method: str,
        url: str,
        host: str,
        headers: Mapping[str, str],
        body: bytes,
        accept: tuple[str, ...],
        max_bytes: int | None,
    ) -> Response:
        real = httpx.URL(self._routed(url, host))
        sent = {
            "host": real.netloc.decode("ascii"),
            "user-agent": self.policy.user_agent,
            "accept": ", ".join(accept) or "*/*",
            "accept-encoding": "gzip",
            **{name.lower(): value for name, value in headers.items()},
            **{name.lower(): value for name, value in self._secrets.get(host, {}).items() if url.startswith("https:")},
        }
        if self._is_routed(host):
            sent["x-forwarded-host"] = host
        if body:
            sent["content-length"] = str(len(body))
        seconds = self.policy.total_timeout
        limits = body_of.Limits(
            max_bytes or self.policy.max_bytes, self.policy.max_ratio, seconds, self.clock.monotonic() + seconds
        )
        patience = {
            "connect": self.policy.connect_timeout,
            "read": self.policy.read_timeout,
            "write": self.policy.read_timeout,
            "pool": self.policy.connect_timeout,
        }
        self.requests += 1
        target = httpcore.URL(scheme=real.raw_scheme, host=real.raw_host, port=real.port, target=real.raw_path or b"/")
        with self._pool.stream(
            method, target, headers=[(name, value.encode("utf-8")) for name, value in sent.items()],
            content=body or None, extensions={"timeout": patience},
        ) as response:  # fmt: skip
            received = _headers(response.headers)
            if response.status == 304:
                return Response(url, url, 304, received, b"")
            if response.status in _REDIRECTS or response.status >= 400:
                stream = body_of.in_time(response.iter_stream(), limits, self.clock)
                content = b"".join(body_of.first(stream, _ERROR_BYTES))
                return Response(url, url, response.status, received, body_of.plain(content, received, _ERROR_BYTES))
            kind = received.get("content-type", "").partition(";")[0].strip().lower()
            if accept and kind and kind not in accept:
                raise Refused(f"{shown(url)}: is {kind}, not {' or '.join(accept[:2])}; name another address")
            content = body_of.read(response.iter_stream(), received, limits, url=url, clock=self.clock)
        return Response(url, url, response.status, received, content)


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found and key != "set-cookie" else text
    return found


def _said(problem: BaseException) -> str:
    named: dict[type[BaseException], str] = {
        httpcore.ConnectTimeout: "no connection in time",
        httpcore.ReadTimeout: "no answer in time",
        httpcore.ConnectError: "no connection",
        httpcore.RemoteProtocolError: "the answer was cut off or is not HTTP",
    }
    text = next((words for kind, words in named.items() if isinstance(problem, kind)), type(problem).__name__)
    return f"{text} ({str(problem)[:120]})" if str(problem) else text
