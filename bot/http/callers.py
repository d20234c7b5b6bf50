"""Who sent an HTTP request, and whether a page of another site caused it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from multidict import CIMultiDict, CIMultiDictProxy

from bot.submission import LOCAL_SENDER

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = CIMultiDictProxy[str] | CIMultiDict[str]

_PROXY_HEADERS = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


@dataclass(frozen=True)
class Callers:
    """``trusted_proxies``: whose ``X-Forwarded-…`` headers are trusted. ``names``: host names of this server."""

    trusted_proxies: tuple[IpNetwork, ...] = ()
    names: frozenset[str] = frozenset()

    def sender(self, peer: str | None, headers: Headers) -> str:
        """To whom the limits apply: the last hop that is not a trusted proxy. A /64 network of IPv6 counts as one
        sender. LOCAL_SENDER: a user of this machine, who is not limited."""
        address = _parse_ip(peer)
        hops = [hop for line in headers.getall("X-Forwarded-For", []) for hop in line.split(",")]
        by_proxy = self._trusts(address)
        while hops and self._trusts(address):
            named = _parse_ip(hops.pop())
            if named is None:
                break
            address = named
        if address is None:
            return "ip:unknown"
        named_by_proxy = by_proxy and "X-Forwarded-For" in headers
        direct = not by_proxy and not any(name in headers for name in _PROXY_HEADERS)
        if address.is_loopback and (named_by_proxy or direct):
            return LOCAL_SENDER
        if isinstance(address, ipaddress.IPv6Address):
            return f"ip:{ipaddress.ip_network((address, 64), strict=False).network_address}"
        return f"ip:{address}"

    def of_connection(self, peer: str | None) -> str | None:
        """The caller whose share of the connections a connection counts against; None: nobody's, as it comes from this
        machine or from a trusted proxy, which has many users behind it."""
        sender = self.sender(peer, CIMultiDict())
        return None if sender == LOCAL_SENDER or self._trusts(_parse_ip(peer)) else sender

    def same_site(self, peer: str | None, headers: Headers) -> bool:
        """Whether a request with side effects may be served: its ``Host`` is a name of this server (otherwise another
        site's name may resolve to it), and it was not caused by a page of another site."""
        from_proxy = self._trusts(_parse_ip(peer))
        host = headers.get("Host", "")
        if not (from_proxy or self._is_own_name(host)):
            return False
        if (fetched_from := headers.get("Sec-Fetch-Site")) is not None:
            return fetched_from in ("same-origin", "none")
        origin = headers.get("Origin")
        if origin is None:
            return True
        own = {host.lower()}
        if from_proxy:
            own.add(headers.get("X-Forwarded-Host", host).lower())
        site = origin.lower().partition("://")[2]
        return site in own or _hostname(site) in self.names

    def origin(self, peer: str | None, headers: Headers) -> str | None:
        """Scheme and host of this server as seen by the visitor's browser; None: no host given."""
        host, scheme = headers.get("Host", ""), "http"
        if self._trusts(_parse_ip(peer)):
            host, scheme = headers.get("X-Forwarded-Host", host), headers.get("X-Forwarded-Proto", scheme)
        if _HOST.fullmatch(host) is None or scheme not in ("http", "https"):
            return None
        return f"{scheme}://{host}"

    def _is_own_name(self, host: str) -> bool:
        """An address, ``localhost``, a name without dots or one of ``names``; other sites' names cannot be among
        these."""
        name = _hostname(host)
        if name is None:
            return False
        local = name.endswith(".localhost") or "." not in name
        return local or name in self.names or _parse_ip(name) is not None

    def _trusts(self, address: IpAddress | None) -> bool:
        return address is not None and any(address in network for network in self.trusted_proxies)


def _parse_ip(text: str | None) -> IpAddress | None:
    text = (text or "").strip()
    if text.startswith("[") or text.count(":") == 1:
        text = _hostname(text) or ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _hostname(host: str) -> str | None:
    """The host of ``host:port`` in lower case."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
