"""The check before the room opens: Streamlit's settings, the site's, the files'. What is wrong is named with its mend.

In:  the settings as Streamlit will use them, dashboard.toml, the home folder. Out: nothing, or one error with all.
"""

import stat
import tomllib
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from streamlit import config

from clinic_mm.errors import UsageError
from clinic_mm.site import SiteSettings
from guard.rules import CALLBACK

TABLE: Final = Path(__file__).parent / "hardened.toml"
SECRETS: Final = "secrets.toml"
"""In the home folder: what the identity provider gave, in the form that st.login documents."""
OF_PROVIDER: Final = ("client_id", "client_secret", "server_metadata_url")
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def check(site: SiteSettings, home: Path, address: str) -> None:
    """Refuse to start while anything weakens the room.

    Raises:
        UsageError: What, where it was set, and how to mend it; every finding in one error.
    """
    found = [*wrong_options(), *wrong_site(site, address), *wrong_provider(site, home), *wrong_files(home)]
    if found:
        raise UsageError("The reading room does not open", "", "\n  ".join(["Mend:", *found]))


def wrong_options() -> Iterator[str]:
    """Options of Streamlit that are not as hardened.toml has them."""
    for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["option"]:
        name = row["name"]
        is_now = config.get_option(name)
        if _fits(is_now, row):
            continue
        should = f"{row['must']!r}" if "must" in row else f"{row['most']} at most"
        yield f"{name} is {is_now!r} by {_set_by(name)}, and must be {should}: {row['why']}. Take it out there"


def wrong_site(site: SiteSettings, address: str) -> Iterator[str]:
    """Lines of dashboard.toml that do not go together."""
    if not is_loopback(address) and not site.proxy.https:
        yield (
            f"The server listens on {address}, where passwords would travel in the clear. Let it listen on 127.0.0.1 "
            "behind a proxy that speaks https (docs/dashboard.md), or say proxy.https = true if one stands before it"
        )
    if not site.sign_in.by:
        yield "sign_in.by is empty: nobody could sign in. Name local, oidc, or both"


def wrong_provider(site: SiteSettings, home: Path) -> Iterator[str]:
    """What lacks to ask an identity provider."""
    if "oidc" not in site.sign_in.by:
        return
    if not _authlib():
        yield "sign_in.by names oidc, which needs Authlib: pip install 'clinic_mm[oidc]'"
    if not site.oidc.roles:
        yield "sign_in.by names oidc, and oidc.roles gives nobody a role: map at least one group to roles"
    path = home / SECRETS
    try:
        auth = tomllib.loads(path.read_text(encoding="utf-8")).get("auth", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        yield f"sign_in.by names oidc, and {path} cannot be read: write it as docs/dashboard.md shows, then chmod 600"
        return
    provider = auth if site.oidc.provider == "default" else auth.get(site.oidc.provider, {})
    lacking = [name for name in OF_PROVIDER if not provider.get(name)]
    if lacking:
        yield f"{path} has no {', '.join(lacking)} for the provider {site.oidc.provider}: add them under [auth]"
    back = urlsplit(str(auth.get("redirect_uri", "")))
    if back.path != CALLBACK:
        yield f"auth.redirect_uri of {path} must be the address of this room and {CALLBACK}"
    if any(one.scheme != "https" and not is_loopback(one.hostname or "") for one in (back, _metadata(provider))):
        yield f"An address in {path} is not https: tokens would travel in the clear"


def wrong_files(home: Path) -> Iterator[str]:
    """What others on this machine could read."""
    if home.stat().st_mode & OTHERS:
        yield f"Others on this machine can open {home}: chmod 700 {home}"
    for name in (SECRETS, "cookie.key"):
        path = home / name
        if path.is_file() and path.stat().st_mode & OTHERS:
            yield f"Others on this machine can read {path}: chmod 600 {path}"


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _fits(is_now: Any, row: dict[str, Any]) -> bool:  # noqa: ANN401 - whatever an option holds
    if "most" in row:
        return is_now is not None and is_now <= row["most"]
    if isinstance(row["must"], list | dict):
        return not is_now
    return bool(is_now == row["must"])


def _set_by(name: str) -> str:
    where = config.get_where_defined(name)
    return "Streamlit's default" if where.startswith("<default>") else where


def _metadata(provider: dict[str, Any]) -> SplitResult:
    return urlsplit(str(provider.get("server_metadata_url", "")))


def _authlib() -> bool:
    from importlib.util import find_spec

    return find_spec("authlib") is not None and find_spec("httpx2") is not None
