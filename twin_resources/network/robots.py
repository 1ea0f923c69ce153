"""What a host allows crawlers in its robots.txt (RFC 9309)."""

from __future__ import annotations

from collections.abc import Callable

from protego import Protego

from twin_resources.network.addresses import origin, shown
from twin_resources.network.errors import Refused, Unavailable
from twin_resources.network.policy import PRODUCT
from twin_resources.network.response import Response

MAX_BYTES = 512 * 1024
_LONGEST_DELAY = 60.0


class Robots:
    """The rules of each origin, asked for once.

    Args:
        fetch: gets the robots.txt of an origin, redirects followed; None where they lead in circles.
    """

    def __init__(self, fetch: Callable[[str, str], Response | None]) -> None:
        self._fetch = fetch
        self._rules: dict[str, Protego | None] = {}

    def obey(self, url: str, host: str) -> None:
        """Let ``url`` pass where its host allows it.

        Raises:
            Refused: robots.txt forbids it.
            Unavailable: robots.txt cannot be had, so nothing may be asked.
        """
        where = origin(url)
        if where not in self._rules:
            self._rules[where] = self._ask(where, host)
        rules = self._rules[where]
        if rules is None:
            raise Unavailable(f"{where}/robots.txt cannot be had, so nothing is asked of {host} now; try again later")
        if not rules.can_fetch(url, PRODUCT):
            raise Refused(f"{shown(url)}: {host} forbids it in robots.txt; use the platform's export instead")

    def _ask(self, where: str, host: str) -> Protego | None:
        """4xx means there are no rules, 5xx and silence mean that nothing may be asked."""
        try:
            response = self._fetch(where, host)
        except Unavailable:
            return None
        return Protego.parse(response.text if response is not None and response.ok else "")

    def delay(self, url: str) -> float:
        """Seconds that the host of ``url`` asks for between two requests, 60 at most."""
        rules = self._rules.get(origin(url))
        return min(float((rules.crawl_delay(PRODUCT) if rules else None) or 0), _LONGEST_DELAY)

    def sitemaps(self, url: str) -> list[str]:
        """The sitemaps that the robots.txt of the host of ``url`` names, where it was asked for."""
        rules = self._rules.get(origin(url))
        return list(rules.sitemaps) if rules else []
