"""Whether a request comes from our own pages, by the name it asked for and the page it says it comes from.

In:  the headers of a request. Out: yes or no. A request that changes something, and a websocket, must name its origin.

Source: Fetch Metadata Request Headers (W3C), RFC 6454 for origins.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from guard import room

SAFE: Final = frozenset({"GET", "HEAD"})


def host_allowed(headers: Mapping[str, str]) -> bool:
    """Whether the server is asked for under a name that the site lists: any other is a rebound DNS name."""
    try:
        asked = urlsplit(f"//{headers.get('host', '')}")
        name, _ = asked.hostname, asked.port
    except ValueError:
        return False
    if not name or asked.username is not None or asked.path or asked.query:
        return False
    bare = [host.strip("[]") for host in room.opened().site.allowed_hosts]
    return name.rstrip(".") in bare


def comes_from_us(headers: Mapping[str, str], method: str) -> bool:
    """Whether the page that asks is ours. Reading needs no origin; but where one is named, it must be ours too."""
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"} and method not in SAFE:
        return False
    origin = headers.get("origin")
    if origin is None:
        return method in SAFE
    said = urlsplit(origin)
    return said.scheme in {"http", "https"} and said.netloc.lower() == headers.get("host", "").lower()


def from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether somebody followed a link of another site: the browser then withholds a SameSite=Strict cookie once."""
    return headers.get("sec-fetch-site") in {"cross-site", "same-site"} and headers.get("sec-fetch-mode") == "navigate"
