"""What every answer tells the browser: run nothing but ours, show it in no frame, keep nothing, tell nobody.

In:  the headers of an answer, as ASGI has them. Out: the same with ours in place of any of their name.
"""

from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from typing import Final

from guard.index import inline_scripts

Raw = list[tuple[bytes, bytes]]

KEPT_BY_BROWSERS: Final = ("/static/", "/favicon.png")
"""Streamlit's own code, the same for everybody, by names that are hashes."""
DROPPED: Final = frozenset({b"server", b"access-control-allow-origin", b"link"})
A_YEAR_S: Final = 31_536_000
ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with it, browsers send `Origin: null` with a form, and the origin is what we check.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=()",
    "X-Robots-Tag": "noindex, nofollow",
}


def secured(headers: Iterable[tuple[bytes, bytes]], path: str, *, https: bool) -> Raw:
    """The headers of an answer, made safe.

    Args:
        headers: As the endpoint wrote them.
        path: Of the request: Streamlit's own code may stay in the browser, everything else may not.
        https: Whether the browser speaks https with us or with the proxy before us.
    """
    ours = {name.lower().encode(): value.encode() for name, value in ALWAYS.items()}
    given = [(name.lower(), value) for name, value in headers]
    if not any(name == b"content-security-policy" for name, _ in given):
        ours[b"content-security-policy"] = policy_of_pages().encode()
    if not path.startswith(KEPT_BY_BROWSERS):
        ours[b"cache-control"] = b"private, no-store"
    if https:
        ours[b"strict-transport-security"] = f"max-age={A_YEAR_S}".encode()
    return [(name, value) for name, value in given if name not in ours and name not in DROPPED] + list(ours.items())


@cache
def policy_of_pages() -> str:
    """The Content-Security-Policy of Streamlit's pages: as tight as they run with.

    Styles are written by its emotion library at run time (`unsafe-inline`), the code of components given as text is
    loaded from a blob, and tables draw with WebAssembly. Nothing may be loaded from, or sent to, another address.
    """
    inline = " ".join(hash_of(text) for text in inline_scripts())
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' blob: 'wasm-unsafe-eval' {inline}".strip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "media-src 'self' blob:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def hash_of(text: str) -> str:
    """An inline script or style, as a policy names it (CSP level 3, 2.3.1)."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
