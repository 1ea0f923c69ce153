"""URLs as identities: the same document has the same URL whichever link led to it."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

_TRACKING = re.compile(
    r"utm_\w+|[gdf]clid|fbclid|msclkid|igshid|mc_[ce]id|_hs(?:enc|mi)|trk\w*|trackingid|lipi|licu|rcm|mkt_tok|ref_src",
    re.IGNORECASE,
)
_TRACKING_BY_HOST = {
    "medium.com": re.compile(r"source|sk|gi"),
    "substack.com": re.compile(r"r|s|publication_id|post_id|isFreemail|triedRedirect|showWelcome\w*|token|action"),
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


def canonical_url(url: str) -> str:
    """``url`` without tracking parameters, fragment, credentials and default port; the host in lower case.

    Path and remaining parameters stay as they are, so the URL still opens the page. Anything that is not
    ``http(s)`` (``folder:notes/a``) comes back unchanged. Applying it twice changes nothing.

    Raises:
        ValueError: an ``http(s)`` URL without a valid host or port.
    """
    url = url.strip()
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS:
        return url
    host = (parts.hostname or "").rstrip(".")
    if not host or re.search(r"\s", url):
        raise ValueError(f"not a web address: {url!r}")
    if ":" in host:
        host = f"[{host}]"
    if parts.port is not None and parts.port != _DEFAULT_PORTS[parts.scheme]:
        host = f"{host}:{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path or "/", _without_tracking(parts), ""))


def host_is(url: str, domain: str) -> bool:
    """Whether ``url`` is on ``domain`` or one of its subdomains; false for what is not a URL."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host == domain or host.endswith(f".{domain}")


def has_scheme(url: str) -> bool:
    """Whether ``url`` is absolute (``https://…``, ``folder:…``) rather than a bare path."""
    return re.match(r"[a-z][a-z0-9+.-]*:\S", url, re.IGNORECASE) is not None


def _without_tracking(parts: SplitResult) -> str:
    base = urlunsplit(parts)
    patterns = [_TRACKING, *(known for domain, known in _TRACKING_BY_HOST.items() if host_is(base, domain))]

    def tracks(parameter: str) -> bool:
        name, _, value = parameter.partition("=")
        if any(pattern.fullmatch(unquote(name)) for pattern in patterns):
            return True
        return name == "source" and "---" in value  # Medium's publications on their own domains

    return "&".join(parameter for parameter in parts.query.split("&") if parameter and not tracks(parameter))
