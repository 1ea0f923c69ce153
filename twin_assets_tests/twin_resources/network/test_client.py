"""The door to the network: patient with hosts, and shut for everything that is not meant."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import socket
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse

from twin_assets_tests.support.replica import Replica
from twin_resources.network.addresses import public
from twin_resources.network.client import HttpClient
from twin_resources.network.errors import Refused, Unavailable
from twin_resources.network.policy import Clock, CrawlPolicy
from twin_resources.network.response import Validators

SITE = "https://ada.example"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Time:
    """A clock that jumps where others would wait."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []
        self.clock = Clock(self.monotonic, self.now, self.sleep, lambda: 1.0)

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds - 1000)

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 2))
        self.seconds += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def connect(replica: Replica, time: Time) -> Iterator[Callable[..., HttpClient]]:
    opened: list[HttpClient] = []

    def make(*hosts: str, resolve: Any = None, secrets: Any = None, apis: Any = (), **limits: Any) -> HttpClient:
        limits = {"delay": 0.0, "routes": replica.routes, "read_timeout": 0.5, **limits}
        web = HttpClient(hosts or ("ada.example",), policy=CrawlPolicy(**limits), clock=time.clock, find=resolve,
                  secrets=secrets, apis=apis)  # fmt: skip
        opened.append(web)
        return web

    yield make
    for web in opened:
        web.close()


def test_it_says_who_it_is(connect: Callable[..., HttpClient], replica: Replica) -> None:
    assert connect(contact="https://ada.example/about").get(f"{SITE}/essay-1").ok
    assert replica.log[-1].headers["user-agent"].startswith("llm-twin/")
    assert "(+https://ada.example/about)" in replica.log[-1].headers["user-agent"]
    assert "cookie" not in replica.log[-1].headers


def test_an_unchanged_page_is_not_sent_again(connect: Callable[..., HttpClient]) -> None:
    web = connect()
    first = web.get(f"{SITE}/essay-1")
    assert first.validators.etag
    again = web.get(f"{SITE}/essay-1", known=first.validators)
    assert (again.unchanged, again.content) == (True, b"")
    assert web.get(f"{SITE}/essay-1", known=Validators('"old"')).ok


def test_robots_txt_is_obeyed(connect: Callable[..., HttpClient], replica: Replica) -> None:
    replica.robots["ada.example"] = "User-agent: *\nDisallow: /essay-2\nSitemap: https://ada.example/map.xml"
    web = connect()
    assert web.get(f"{SITE}/essay-1").ok
    with pytest.raises(Refused, match=r"forbids it in robots\.txt"):
        web.get(f"{SITE}/essay-2")
    assert web.robots_sitemaps(SITE) == ["https://ada.example/map.xml"]
    assert [each.path for each in replica.asked("ada.example")] == ["/essay-1"]


def test_without_robots_txt_all_is_allowed_and_with_a_broken_one_nothing(
    connect: Callable[..., HttpClient], replica: Replica
) -> None:
    assert connect().get(f"{SITE}/essay-1").ok, "404 means there are no rules (RFC 9309)"
    replica.fail("ada.example", "/robots.txt", *[503] * 9)
    with pytest.raises(Unavailable, match=r"robots\.txt cannot be had"):
        connect().get(f"{SITE}/essay-1")


def test_a_host_is_asked_slowly(connect: Callable[..., HttpClient], replica: Replica, time: Time) -> None:
    web = connect(delay=2.0)
    for number in (1, 2, 3):
        web.get(f"{SITE}/essay-{number}")
    assert time.slept == [2.0, 2.0, 2.0], "between robots.txt and three pages"
    replica.robots["ada.example"] = "User-agent: *\nCrawl-delay: 7"
    time.slept.clear()
    connect(delay=2.0).get(f"{SITE}/essay-1")
    assert time.slept[-1] == 7.0


def test_processes_take_turns_at_a_host(replica: Replica, tmp_path: Path) -> None:
    """Two authors collect from one platform in two runs; the platform must not notice."""
    code = (
        "import sys; from pathlib import Path; from twin_resources.network.client import CrawlPolicy, HttpClient\n"
        "routes, locks = {'ada.example': sys.argv[1]}, Path(sys.argv[2])\n"
        "web = HttpClient(['ada.example'], policy=CrawlPolicy(delay=0.2, routes=routes, locks=locks))\n"
        "for number in (1, 2): web.get(f'https://ada.example/essay-{number}')\n"
    )
    command = [sys.executable, "-c", code, replica.base, str(tmp_path)]
    running = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(30) for process in running] == [0, 0]
    times = sorted(each.at for each in replica.log)
    assert len(times) == 6
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) > 0.19


@pytest.mark.parametrize("after", ["9", format_datetime(NOW + timedelta(seconds=9), usegmt=True)])
def test_retry_after_is_obeyed(connect: Callable[..., HttpClient], replica: Replica, time: Time, after: str) -> None:
    replica.fail("ada.example", "/essay-1", (429, {"retry-after": after}))
    assert connect().get(f"{SITE}/essay-1").ok
    assert time.slept == [9.0]


def test_a_wait_that_is_too_long_is_left_for_the_next_time(
    connect: Callable[..., HttpClient], replica: Replica
) -> None:
    replica.fail("ada.example", "/essay-1", (429, {"retry-after": "7200"}))
    with pytest.raises(Unavailable, match=r"asks to wait 7200 s.*next collection"):
        connect().get(f"{SITE}/essay-1")


def test_a_used_up_rate_limit_waits_for_its_reset(
    connect: Callable[..., HttpClient], replica: Replica, time: Time
) -> None:
    reset = str(int(NOW.timestamp()) + 30)
    replica.fail("ada.example", "/essay-1", (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}))
    assert connect().get(f"{SITE}/essay-1").ok
    assert time.slept == [31.0]


def test_errors_are_tried_again_with_growing_pauses_and_then_said(
    connect: Callable[..., HttpClient], replica: Replica, time: Time
) -> None:
    replica.fail("ada.example", "/essay-1", 500, 502)
    assert connect().get(f"{SITE}/essay-1").ok
    assert time.slept == [2.0, 4.0]
    replica.fail("ada.example", "/essay-1", *[500] * 5)
    with pytest.raises(Unavailable, match=r"https://ada\.example/essay-1: HTTP 500, 5 times in 30 s"):
        connect().get(f"{SITE}/essay-1")


@pytest.mark.parametrize(("fault", "says"), [("hang", "no answer in time"), ("cut", "cut off")])
def test_a_hang_and_a_cut_answer_are_tried_again_and_then_said(
    connect: Callable[..., HttpClient], replica: Replica, fault: str, says: str
) -> None:
    replica.fail("ada.example", "/essay-1", fault)
    assert connect(read_timeout=0.2).get(f"{SITE}/essay-1").ok
    replica.fail("ada.example", "/essay-1", fault, fault)
    with pytest.raises(Unavailable, match=says):
        connect(read_timeout=0.2, attempts=2).get(f"{SITE}/essay-1")


def test_an_answer_that_never_ends_is_given_up(replica: Replica) -> None:
    replica.fail("ada.example", "/essay-1", "drip")
    limits = CrawlPolicy(delay=0, routes=replica.routes, total_timeout=0.4, attempts=1)
    web = HttpClient(["ada.example"], policy=limits)
    with pytest.raises(Unavailable, match="no end of the answer after"):
        web.get(f"{SITE}/essay-1")
    web.close()


def test_an_error_page_that_never_ends_is_given_up_too(replica: Replica) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"<p>"
            await asyncio.sleep(0.05)

    replica.fail("ada.example", "/essay-1", StreamingResponse(slowly(), 404, media_type="text/html"))
    limits = CrawlPolicy(delay=0, routes=replica.routes, total_timeout=0.4, attempts=1)
    web = HttpClient(["ada.example"], policy=limits)
    with pytest.raises(Unavailable, match="no end of the answer after"):
        web.get(f"{SITE}/essay-1")
    web.close()


def packed(content: bytes, encoding: str = "gzip") -> Response:
    data = gzip.compress(content) if encoding == "gzip" else zlib.compress(content)
    return Response(data, headers={"content-encoding": encoding}, media_type="text/html")


def test_a_gzip_bomb_is_not_unpacked(connect: Callable[..., HttpClient], replica: Replica) -> None:
    replica.extra["ada.example", "/bomb"] = packed(b"\0" * 50_000_000)
    with pytest.raises(Refused, match="packed more than 200 to 1"):
        connect(max_bytes=10**9).get(f"{SITE}/bomb")
    with pytest.raises(Refused, match="larger than 1,000 bytes"):
        connect(max_bytes=1000).get(f"{SITE}/bomb")
    replica.extra["ada.example", "/fine"] = packed(b"<p>fine</p>", "deflate")
    assert connect().get(f"{SITE}/fine").text == "<p>fine</p>"
    replica.extra["ada.example", "/odd"] = Response(b"x", headers={"content-encoding": "br"})
    with pytest.raises(Refused, match="packed as br"):
        connect().get(f"{SITE}/odd")


def test_too_much_and_the_wrong_kind_are_refused(connect: Callable[..., HttpClient], replica: Replica) -> None:
    replica.extra["ada.example", "/large"] = Response(b"x" * 2000, media_type="text/html")
    with pytest.raises(Refused, match="larger than 1,000 bytes"):
        connect(max_bytes=1000).get(f"{SITE}/large")
    replica.extra["ada.example", "/film"] = Response(b"x", media_type="video/mp4")
    with pytest.raises(Refused, match="is video/mp4, not text/html"):
        connect().get(f"{SITE}/film", accept=("text/html",))


PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
    "fd12::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "nonsense",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_whatever_the_name(
    connect: Callable[..., HttpClient], replica: Replica, address: str
) -> None:
    assert not public(address)
    web = connect("evil.example", resolve=lambda host, port: ["93.184.215.14", address])
    with pytest.raises(Refused, match=r"evil\.example resolves to .* not a public address"):
        web.get("https://evil.example/essay-1")
    assert replica.log == []


def test_public_addresses_are_public() -> None:
    assert all(map(public, ("93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e")))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "localhost"])
def test_a_private_address_written_as_the_host_is_refused_too(connect: Callable[..., HttpClient], host: str) -> None:
    with pytest.raises(Refused, match="not a public address"):
        connect(host.strip("[]")).get(f"http://{host}/essay-1")


def test_a_name_is_resolved_once_and_that_address_connected_to(replica: Replica) -> None:
    """DNS rebinding: the second answer leads inside, so there must be no second question."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), 2) - 1]

    name = f"rebind.example:{replica.port}"
    web = HttpClient(["rebind.example"], policy=CrawlPolicy(delay=0, private=frozenset({name})), find=resolve)
    replica.extra["127.0.0.1", "/x"] = Response("from the first address")
    assert web.get(f"http://{name}/x").text == "from the first address"
    assert asked == ["rebind.example"]
    assert replica.log[-1].headers["host"] == name, "the name still goes into the request"
    web.close()


def test_a_name_that_turns_private_for_the_next_connection_is_refused() -> None:
    answers = iter([["127.0.0.1"]])
    web = HttpClient(["rebind.example"], policy=CrawlPolicy(delay=0, attempts=1), find=lambda host, port: next(answers))
    with pytest.raises(Refused, match=r"127\.0\.0\.1"):
        web.get("http://rebind.example/")
    web.close()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("http://169.254.169.254/latest/meta-data/", r"https to http|not a host"),
        ("https://169.254.169.254/latest/meta-data/", "169.254.169.254 is not a host of this source"),
        ("https://other.example/", "other.example is not a host of this source"),
        ("http://ada.example/essay-2", "from https to http"),
        ("file:///etc/passwd", "only http and https"),
        ("https://user:pass@ada.example/", "user name or password"),
        ("https://ada.example:8443/", "port 8443 is not asked"),
        ("/round", "more than 5 redirects"),
        ("https://[oops", "leads to an address that cannot be read"),
    ],
)
def test_redirects_are_checked_like_first_requests(
    connect: Callable[..., HttpClient], replica: Replica, target: str, says: str
) -> None:
    replica.extra["ada.example", "/round"] = Response(status_code=302, headers={"location": target})
    with pytest.raises(Refused, match=says) as caught:
        connect().get(f"{SITE}/round")
    assert "pass" not in str(caught.value).replace("password", "").replace("passwd", "")


def test_a_named_host_that_redirects_to_one_resolving_inside_is_refused(
    connect: Callable[..., HttpClient], replica: Replica
) -> None:
    replica.extra["ada.example", "/out"] = Response(status_code=302, headers={"location": "https://inner.example/x"})
    web = connect("ada.example", "inner.example", resolve=_inside)
    with pytest.raises(Refused, match=r"169\.254\.169\.254, which is not a public address"):
        web.get(f"{SITE}/out")


def _inside(host: str, port: int) -> list[str]:
    return ["169.254.169.254"] if host == "inner.example" else ["127.0.0.1"]


def test_schemes_ports_and_names_that_are_not_meant_are_refused(connect: Callable[..., HttpClient]) -> None:
    web = connect("ada.example", "*.medium.com")
    for url in (
        "ftp://ada.example/x",
        "//ada.example",
        "https://medium.com.evil.example/",
        "https://evilmedium.com/",
        "https://medium.com/",
        "https://",
        "https://[::1",
        "javascript:alert(1)",
    ):
        with pytest.raises(Refused):
            web.get(url)
    assert web.allows("https://ada.medium.com/x")


def test_a_token_goes_to_its_own_host_only_and_is_never_shown(
    connect: Callable[..., HttpClient], replica: Replica
) -> None:
    hosts = ("api.github.com", "codeload.github.com")
    web = connect(*hosts, apis=hosts, secrets={"api.github.com": {"Authorization": "Bearer s3cret"}})
    replica.extra["api.github.com", "/archive"] = Response(
        status_code=302, headers={"location": "https://codeload.github.com/archive?token=s3cret"}
    )
    replica.fail("codeload.github.com", "/archive", *[500] * 5)
    with pytest.raises(Unavailable) as caught:
        web.get("https://api.github.com/archive")
    assert "s3cret" not in str(caught.value)
    assert replica.asked("api.github.com")[0].headers["authorization"] == "Bearer s3cret"
    assert all("authorization" not in each.headers for each in replica.asked("codeload.github.com"))
    replica.fail("codeload.github.com", "/archive", *[500] * 5)
    with pytest.raises(Unavailable):
        web.get("https://api.github.com/archive", headers={"Cookie": "sid=s3cret"})
    assert replica.asked("api.github.com")[-1].headers["cookie"] == "sid=s3cret"
    assert "cookie" not in replica.asked("codeload.github.com")[-1].headers


def test_permanent_and_temporary_moves_are_told_apart(connect: Callable[..., HttpClient], replica: Replica) -> None:
    for status, moved in ((301, True), (302, False)):
        replica.extra["ada.example", "/old"] = Response(status_code=status, headers={"location": "/essay-1"})
        answer = connect().get(f"{SITE}/old")
        assert (answer.url, answer.moved) == (f"{SITE}/essay-1", moved)


def test_an_unknown_host_is_said_after_all_attempts(connect: Callable[..., HttpClient], time: Time) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(Unavailable, match=r"robots\.txt cannot be had"):
        connect("no.example", resolve=resolve, attempts=2).get("https://no.example/")
