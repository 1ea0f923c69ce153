"""The one door to the network for collecting: polite to the hosts it asks, and closed to everything else.

Every source asks through a :class:`Web`. It says who it is, obeys robots.txt and ``Retry-After``, asks a host slowly
and one request at a time, and goes only to hosts that the author named or that belong to the platform. A name is
resolved once, every address it has is checked, and the connection is made to that very address, so a name cannot turn
into an address of the local network between check and use.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import random
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx
from protego import Protego

from twin_resources.errors import SourceError

HTML = ("text/html", "application/xhtml+xml")
XML = ("application/rss+xml", "application/atom+xml", "application/xml", "text/xml", "application/rdf+xml")
JSON = ("application/json", "application/feed+json", "application/problem+json", "text/json")
TEXT = ("text/plain",)
PACKED = ("application/gzip", "application/x-gzip", "application/zip", "application/octet-stream")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FOR_GOOD = frozenset({301, 308})
_LATER = frozenset({429, 500, 502, 503, 504})
_SECRET = frozenset({"authorization", "cookie"})
_CHUNK = 64 * 1024
_ROBOTS_BYTES = 512 * 1024
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")


class WebError(SourceError):
    """A request was not made or got no usable answer; names the address without secrets, the reason and the remedy."""


class Refused(WebError):
    """The request must not be made: host, address, scheme, robots.txt or a limit forbids it."""


class Unavailable(WebError):
    """The host did not answer usably, however patiently it was asked."""


@dataclass(frozen=True)
class Manners:
    """How a host is asked. Seconds and bytes; ``routes`` sends a host elsewhere, ``private`` lets one address in.

    ``routes`` maps a host to the base address that answers for it, a GitHub Enterprise server or a stand-in of the
    tests. The person who writes it names the address, so it may lie in a private network; so may ``private``
    (``host:port``).
    """

    delay: float = 1.0
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    total_timeout: float = 120.0
    attempts: int = 5
    longest_wait: float = 300.0
    max_bytes: int = 20 * 1024**2
    max_ratio: int = 200
    max_redirects: int = 5
    contact: str | None = None
    routes: Mapping[str, str] = field(default_factory=dict)
    private: frozenset[str] = frozenset()
    turns: Path | None = None
    """A folder through which the processes of one machine take turns at a host."""

    @property
    def user_agent(self) -> str:
        """Product, version and, where one is set, where to complain."""
        contact = f" (+{self.contact})" if self.contact else ""
        return f"{PRODUCT}/{_version()}{contact}"


PRODUCT = "llm-twin"
"""The name that robots.txt may address."""


@dataclass(frozen=True)
class Clock:
    """Time, so that a test need not wait for it."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True)
class Validators:
    """What a host said of the version it sent, to ask for a newer one only."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """The conditions of a request."""
        found = {"if-none-match": self.etag, "if-modified-since": self.last_modified}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class Answer:
    """What a host answered. ``url`` is where the last redirect led, ``moved`` whether all redirects were permanent."""

    asked: str
    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    moved: bool = False

    @property
    def unchanged(self) -> bool:
        """304: what we hold is still the newest."""
        return self.status == 304

    @property
    def ok(self) -> bool:
        """Whether there is a body to read."""
        return 200 <= self.status < 300

    @property
    def validators(self) -> Validators:
        """What to ask with next time."""
        return Validators(self.headers.get("etag"), self.headers.get("last-modified"))

    @property
    def text(self) -> str:
        """The body as text: the declared character set, else UTF-8."""
        match = re.search(r"charset=[\"']?([\w.:-]+)", self.headers.get("content-type", ""), re.IGNORECASE)
        try:
            return self.content.decode(match.group(1) if match else "utf-8-sig", "replace").removeprefix("\ufeff")
        except LookupError:
            return self.content.decode("utf-8-sig", "replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            Unavailable: it is not JSON.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as problem:
            raise Unavailable(f"{shown(self.url)}: the answer is not JSON; try again later") from problem

    @property
    def next(self) -> str | None:
        """The next page by the header ``Link`` (RFC 8288)."""
        for link, parameters in re.findall(r"<([^<>]*)>([^<]*)", self.headers.get("link", "")):
            if re.search(r";\s*rel=\"?next\"?(?:[;,\s]|$)", parameters):
                return joined(self.url, link)
        return None


Resolve = Callable[[str, int], list[str]]


class Web:
    """Asks hosts for one source.

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
        manners: Manners | None = None,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        apis: Iterable[str] = (),
        clock: Clock | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self.hosts = frozenset(host.lower() for host in hosts)
        self.manners = manners or Manners()
        self.clock = clock or Clock()
        self.requests = 0
        self._secrets = {host: dict(headers) for host, headers in (secrets or {}).items()}
        self._apis = frozenset(apis)
        self._robots: dict[str, Protego | None] = {}
        self._door = _Door(resolve or _addresses, self._let_in())
        self._pool = httpcore.ConnectionPool(network_backend=self._door, max_connections=8, keepalive_expiry=30.0)

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
    ) -> Answer:
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
    ) -> Answer:
        """Make one request, follow its redirects and wait where the host asks for patience.

        Args:
            accept: the media types that are read; empty for all.
            pause: whether the delay between two requests is kept; pages and interfaces keep it, a page's own scripts
                need not.
            robots: whether robots.txt is obeyed; the browser asks it for pages, not for their parts.

        Returns:
            The answer, whatever it says: 403, 404 and 410 are for the source to judge.

        Raises:
            Refused: the request must not be made, or the answer passes a limit.
            Unavailable: no usable answer after all attempts.
        """
        accept = tuple(accept)
        asked, permanent = url, True
        for _ in range(self.manners.max_redirects + 1):
            host = self._check(url)
            if robots:
                self._obey_robots(url, host)
            answer = self._patiently(method, url, host, headers or {}, body, accept, max_bytes, pause)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location:
                moved = permanent and url != asked
                return Answer(asked, url, answer.status, answer.headers, answer.content, moved)
            permanent = permanent and answer.status in _FOR_GOOD
            target = self._logical(joined(url, location))
            if url.startswith("https:") and target.startswith("http:"):
                raise Refused(f"{shown(url)} redirects from https to http ({shown(target)}); not followed")
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, body = "GET", b""
            if self._check(target, before=url) != host:
                headers = {name: value for name, value in (headers or {}).items() if name.lower() not in _SECRET}
            url = target
        raise Refused(f"{shown(asked)}: more than {self.manners.max_redirects} redirects; open it in a browser")

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
        self._obey_robots(urljoin(url, "/robots.txt"), host)
        rules = self._robots.get(_origin(url))
        return list(rules.sitemaps) if rules else []

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
        if port not in (None, 80, 443) and f"{host}:{port}" not in self.manners.private:
            raise Refused(f"{where}: port {port} is not asked; only 80 and 443 are")
        return host

    def _is_named(self, host: str) -> bool:
        if host in self.hosts:
            return True
        return any(pattern.startswith("*.") and host.endswith(pattern[1:]) for pattern in self.hosts)

    def _is_routed(self, host: str) -> bool:
        return host in self.manners.routes

    def _let_in(self) -> frozenset[str]:
        routed = set()
        for base in self.manners.routes.values():
            parts = urlsplit(base)
            routed.add(f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}")
        return self.manners.private | routed

    def _routed(self, url: str, host: str) -> str:
        """Where ``url`` is really asked: at the address that ``routes`` gives for its host, else as it stands."""
        base = self.manners.routes.get(host)
        if base is None:
            return url
        parts = urlsplit(url)
        return base.rstrip("/") + (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _logical(self, url: str) -> str:
        """The inverse of :meth:`_routed`, for links that a server which is asked under a route writes of itself."""
        for host, base in self.manners.routes.items():
            base = base.rstrip("/")
            if url == base or url.startswith((f"{base}/", f"{base}?")):
                return f"https://{host}{url[len(base) :]}"
        return url

    def _obey_robots(self, url: str, host: str) -> None:
        if host in self._apis:
            return
        origin = _origin(url)
        if origin not in self._robots:
            self._robots[origin] = self._fetch_robots(origin, host)
        rules = self._robots[origin]
        if rules is None:
            raise Unavailable(f"{origin}/robots.txt cannot be had, so nothing is asked of {host} now; try again later")
        if not rules.can_fetch(url, PRODUCT):
            raise Refused(f"{shown(url)}: {host} forbids it in robots.txt; use the platform's export instead")

    def _fetch_robots(self, origin: str, host: str) -> Protego | None:
        """RFC 9309: 4xx means there are no rules, 5xx and silence mean that nothing may be asked."""
        url = f"{origin}/robots.txt"
        try:
            for _ in range(self.manners.max_redirects):
                answer = self._patiently("GET", url, host, {}, b"", (), _ROBOTS_BYTES, True)
                location = answer.headers.get("location")
                if answer.status not in _REDIRECTS or not location:
                    break
                url = self._logical(joined(url, location))
                host = self._check(url, before=origin)
            else:
                return Protego.parse("")
        except Refused:
            raise
        except Unavailable:
            return None
        return Protego.parse(answer.text if answer.ok else "")

    def _delay(self, url: str) -> float:
        rules = self._robots.get(_origin(url))
        asked = rules.crawl_delay(PRODUCT) if rules else None
        return max(self.manners.delay, min(float(asked or 0), 60.0))

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
    ) -> Answer:
        waited, why = 0.0, ""
        for attempt in range(1, self.manners.attempts + 1):
            wait = 0.0
            try:
                with _turn(host, self.clock, self._delay(url) if pause else 0.0, self.manners.turns):
                    answer = self._ask(method, url, host, headers, body, accept, max_bytes)
            except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, TimeoutError) as problem:
                why = _said(problem)
            else:
                wait = self._told(answer)
                if answer.status not in _LATER and not wait:
                    return answer
                why = f"HTTP {answer.status}"
                if wait > self.manners.longest_wait:
                    raise Unavailable(
                        f"{shown(url)}: {why}; {host} asks to wait {wait:.0f} s, which is longer than "
                        f"{self.manners.longest_wait:.0f} s; the next collection tries again"
                    )
            if attempt < self.manners.attempts:
                wait = wait or min(2.0**attempt, 60.0) * (0.5 + self.clock.jitter() / 2)
                waited += wait
                self.clock.sleep(wait)
        raise Unavailable(
            f"{shown(url)}: {why}, {self.manners.attempts} times in {waited:.0f} s; the next collection tries again"
        )

    def _told(self, answer: Answer) -> float:
        """Seconds the host asks to wait: ``Retry-After``, or the reset of a used-up rate limit; 0 without any."""
        if answer.status in _LATER or answer.status == 403:
            told = answer.headers.get("retry-after", "").strip()
            if told.isdigit():
                return max(float(told), 0.001)
            if told:
                with contextlib.suppress(ValueError, TypeError):
                    moment = parsedate_to_datetime(told)
                    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                    return max((moment - self.clock.now()).total_seconds(), 0.001)
            reset = answer.headers.get("x-ratelimit-reset", "")
            if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
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
    ) -> Answer:
        real = httpx.URL(self._routed(url, host))
        sent = {
            "host": real.netloc.decode("ascii"),
            "user-agent": self.manners.user_agent,
            "accept": ", ".join(accept) or "*/*",
            "accept-encoding": "gzip",
            **{name.lower(): value for name, value in headers.items()},
            **{name.lower(): value for name, value in self._secrets.get(host, {}).items() if url.startswith("https:")},
        }
        if self._is_routed(host):
            sent["x-forwarded-host"] = host
        if body:
            sent["content-length"] = str(len(body))
        deadline = self.clock.monotonic() + self.manners.total_timeout
        patience = {
            "connect": self.manners.connect_timeout,
            "read": self.manners.read_timeout,
            "write": self.manners.read_timeout,
            "pool": self.manners.connect_timeout,
        }
        self.requests += 1
        target = httpcore.URL(scheme=real.raw_scheme, host=real.raw_host, port=real.port, target=real.raw_path or b"/")
        with self._pool.stream(
            method, target, headers=[(name, value.encode("utf-8")) for name, value in sent.items()],
            content=body or None, extensions={"timeout": patience},
        ) as response:  # fmt: skip
            received = _headers(response.headers)
            if response.status == 304:
                return Answer(url, url, 304, received, b"")
            if response.status in _REDIRECTS or response.status >= 400:
                limit = 64 * 1024
                content = b"".join(_some(response.iter_stream(), limit))
                return Answer(url, url, response.status, received, _plain(content, received, limit))
            kind = received.get("content-type", "").partition(";")[0].strip().lower()
            if accept and kind and kind not in accept:
                raise Refused(f"{shown(url)}: is {kind}, not {' or '.join(accept[:2])}; name another address")
            content = self._read(url, response.iter_stream(), received, max_bytes or self.manners.max_bytes, deadline)
        return Answer(url, url, response.status, received, content)

    def _read(
        self, url: str, stream: Iterable[bytes], headers: Mapping[str, str], limit: int, deadline: float
    ) -> bytes:
        """The body, unpacked, within the limits of size before and after unpacking, ratio and time."""
        encoding = headers.get("content-encoding", "identity").strip().lower() or "identity"
        if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise Refused(f"{shown(url)}: packed as {encoding}, which was not asked for")
        if headers.get("content-length", "").isdigit() and int(headers["content-length"]) > limit:
            raise Refused(f"{shown(url)}: larger than {limit:,} bytes; not read")
        unpacker = None if encoding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
        packed = unpacked = 0
        parts: list[bytes] = []
        for chunk in stream:
            packed += len(chunk)
            if self.clock.monotonic() > deadline:
                raise TimeoutError(f"no end of the answer after {self.manners.total_timeout:.0f} s")
            for part in _unpack(unpacker, chunk, url) if unpacker else (chunk,):
                unpacked += len(part)
                if unpacked > limit:
                    raise Refused(f"{shown(url)}: larger than {limit:,} bytes unpacked; not read")
                if unpacker and unpacked > 1024**2 and unpacked > self.manners.max_ratio * packed:
                    raise Refused(
                        f"{shown(url)}: packed more than {self.manners.max_ratio} to 1, as a bomb is; not read"
                    )
                parts.append(part)
        if unpacker and not unpacker.eof and packed:
            raise httpcore.RemoteProtocolError("the packed answer was cut off")
        return b"".join(parts)


def public(address: str) -> bool:
    """Whether ``address`` may be connected to: a global unicast address that hides no private one inside."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped
        if inner is None and any(found in network for network in _NAT64):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is None and found in _SIX_TO_FOUR:
            inner = found.sixtofour
        if inner is None and found.teredo:
            return False
        if inner is not None:
            return public(str(inner))
        if int(found) >> 32 == 0:  # IPv4-compatible addresses, ::/96
            return False
    return found.is_global and not (
        found.is_private
        or found.is_loopback
        or found.is_link_local
        or found.is_multicast
        or found.is_reserved
        or found.is_unspecified
    )


def joined(base: str, link: str) -> str:
    """``link`` as it stands on the page ``base``.

    Raises:
        Refused: it is no address.
    """
    try:
        return urljoin(base, link)
    except ValueError:
        raise Refused(f"{shown(base)}: leads to an address that cannot be read") from None


def ascii_host(host: str) -> str:
    """A host as it is compared and connected to: lower case, without a last dot, umlauts as IDNA.

    Raises:
        ValueError: it is no host name.
    """
    host = host.lower().rstrip(".")
    return host if host.isascii() else host.encode("idna").decode("ascii")


def shown(url: str | None) -> str:
    """``url`` as it may be printed: without user name, query and fragment, where secrets travel."""
    if url is None:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{host}{port}{parts.path}"[:300]


class _Door(httpcore.NetworkBackend):
    """Resolves a name, checks all its addresses, and connects to one of those that were checked."""

    def __init__(self, resolve: Resolve, let_in: frozenset[str]) -> None:
        self._resolve = resolve
        self._let_in = let_in
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to an address of ``host`` that may be asked. TLS still checks the certificate for ``host``."""
        try:
            addresses = self._resolve(host, port)
        except OSError as problem:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {problem}") from problem
        if not addresses:
            raise httpcore.ConnectError(f"{host} has no address")
        if f"{host}:{port}" not in self._let_in and (inner := [each for each in addresses if not public(each)]):
            raise Refused(
                f"{host} resolves to {inner[0]}, which is not a public address; not asked. If it is a server of "
                f"yours, name {host}:{port} under `collection: private:`"
            )
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
        return self._backend.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    def sleep(self, seconds: float) -> None:
        """Wait, as the pool asks for between its own retries, of which there are none."""
        self._backend.sleep(seconds)


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass
class _Host:
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: float = float("-inf")


_HOSTS: dict[tuple[str, int], _Host] = {}
_HOSTS_LOCK = threading.Lock()


@contextlib.contextmanager
def _turn(host: str, clock: Clock, delay: float, folder: Path | None) -> Iterator[None]:
    """One request at a time for a host on this machine, and ``delay`` seconds from the end of one to the next.

    Processes take turns by a lock on a file, which the system gives back when a process dies; its time of change says
    when the last request ended.
    """
    with _HOSTS_LOCK:
        state = _HOSTS.setdefault((host, id(clock.monotonic)), _Host())
    with state.lock, contextlib.ExitStack() as stack:
        ended = state.ended
        file = stack.enter_context(_locked(folder / f"{host}.turn")) if folder else None
        if file is not None:
            ended = max(ended, clock.monotonic() - (clock.now().timestamp() - os.fstat(file).st_mtime))
        if delay and (wait := ended + delay - clock.monotonic()) > 0:
            clock.sleep(min(wait, delay))
        try:
            yield
        finally:
            state.ended = clock.monotonic()
            if file is not None:
                moment = clock.now().timestamp()
                os.utime(file, (moment, moment))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not os.fstat(file).st_size:  # nobody had a turn yet, so nobody waits
            os.write(file, b".")
            os.utime(file, (0, 0))
        yield file
    finally:
        os.close(file)


def _unpack(unpacker: Any, chunk: bytes, url: str) -> Iterator[bytes]:
    try:
        while chunk:
            part = unpacker.decompress(chunk, _CHUNK)
            chunk = unpacker.unconsumed_tail
            if part:
                yield part
            elif not chunk:
                return
    except zlib.error as problem:
        raise Refused(f"{shown(url)}: the answer is packed wrongly ({problem}); not read") from problem


def _some(stream: Iterable[bytes], limit: int) -> Iterator[bytes]:
    total = 0
    for chunk in stream:
        yield chunk
        total += len(chunk)
        if total > limit:
            return


def _plain(content: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The words of an error page, as far as they can be read; nobody depends on them."""
    if headers.get("content-encoding", "identity").lower() == "identity":
        return content[:limit]
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, limit)
    return b""


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found and key != "set-cookie" else text
    return found


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _said(problem: BaseException) -> str:
    named: dict[type[BaseException], str] = {
        httpcore.ConnectTimeout: "no connection in time",
        httpcore.ReadTimeout: "no answer in time",
        httpcore.ConnectError: "no connection",
        httpcore.RemoteProtocolError: "the answer was cut off or is not HTTP",
    }
    text = next((words for kind, words in named.items() if isinstance(problem, kind)), type(problem).__name__)
    return f"{text} ({str(problem)[:120]})" if str(problem) else text


def _version() -> str:
    try:
        return version("llm-twin")
    except PackageNotFoundError:
        return "0"
