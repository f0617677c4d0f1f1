"""The settings of one site's reading room: `dashboard.toml`, written by its operator, every line with a default.

In:  a TOML file, or none. Out: `SiteSettings`, frozen and checked; a mistake is told by its field.

No secret stands here: the key of cookies and the heads of the audit chain lie in the home folder, and what the identity
provider gave stands in Streamlit's own secrets.toml.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from clinic_mm.toml_file import fitted, read_toml

Role = Literal["viewer", "reader", "signer", "scientist", "admin"]
SEE: Final = "docs/dashboard.md describes every line"


class Frozen(BaseModel):
    """Checked, closed to unknown names, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Proxy(Frozen):
    """What stands in front of the server, if anything does."""

    trusted: tuple[str, ...] = ("127.0.0.1",)
    """Addresses whose X-Forwarded-For and -Proto are believed."""
    https: bool = False
    """The browser speaks https with the proxy: cookies are marked Secure, and browsers are told to stay with https."""


class SignIn(Frozen):
    """How people sign in, and for how long."""

    by: tuple[Literal["local", "oidc"], ...] = ("local",)
    hours: Annotated[float, Field(gt=0, le=12)] = 12.0
    """A session ends after this, whatever happens; one by OIDC not after its token expires."""
    idle_minutes: Annotated[float, Field(gt=0, le=60)] = 30.0
    """A session in which nobody did anything for this long ends."""
    tries: Annotated[int, Field(ge=1, le=1000)] = 20
    """Wrong passwords from one address before it has to wait; of one name, the store counts by itself."""
    wait_minutes: Annotated[float, Field(gt=0)] = 15.0
    """How long."""


class Oidc(Frozen):
    """What to make of the claims of the identity provider; how to reach it stands in secrets.toml, for st.login."""

    provider: str = "default"
    name_claim: str = "preferred_username"
    roles_claim: str = "groups"
    roles: dict[str, tuple[Role, ...]] = {}
    """Roles of a person by what stands in `roles_claim`; nothing that fits means no entrance."""


class Glass(Frozen):
    """Cases that are closed, and what breaking the glass asks for. It stays broken for four hours."""

    closed_cases: Path | None = None
    """A text file of case keys, one a line, which open only to those who broke the glass."""
    shortest_reason: Annotated[int, Field(ge=1, le=200)] = 15
    """Characters."""


class Figures(Frozen):
    """Where the pages for data scientists look for evaluations, comparisons, cohorts, watches and further runs."""

    beside_run: bool = True
    """What lies directly beside the run that is served, as `clinic-mm demo` puts it."""
    folders: tuple[Path, ...] = ()
    """Further folders: one of these kinds, or one that holds such. Nothing else is ever looked at."""


class SiteSettings(Frozen):
    """dashboard.toml."""

    store: str = ""
    """URL of the database, as SQLAlchemy writes it; a SQLite file in the home folder where it is empty."""
    heads: Path | None = None
    """Folder of the signed heads of the audit chain, outside the database; `heads` in the home folder by default."""
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Names under which browsers may ask for this server, without port."""
    read_first: bool = True
    """The answer is sealed until the reader gave a first opinion."""
    teaching: bool = True
    """Identifiers and free dates are masked until somebody who may see them breaks the glass."""
    view_cache_gb: Annotated[float, Field(gt=0)] = 5.0
    sign_in: SignIn = SignIn()
    oidc: Oidc = Oidc()
    glass: Glass = Glass()
    proxy: Proxy = Proxy()
    figures: Figures = Figures()

    @field_validator("allowed_hosts")
    @classmethod
    def _named(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if not hosts or any("*" in host or not host.strip() for host in hosts):
            message = "name each host; a wildcard would let any name lead here"
            raise ValueError(message)
        return tuple(host.strip().lower() for host in hosts)


def read_site(path: Path | None) -> SiteSettings:
    """The settings in a file, or the defaults.

    Raises:
        TaskError: If there is no such file, it is not TOML, or a line is wrong.
    """
    if path is None:
        return SiteSettings()
    found = fitted(SiteSettings, read_toml(path, "dashboard file", SEE), str(path), SEE)
    beside = path.resolve().parent
    glass = found.glass
    if glass.closed_cases is not None:
        glass = glass.model_copy(update={"closed_cases": beside / glass.closed_cases})
    heads = None if found.heads is None else beside / found.heads
    figures = found.figures.model_copy(update={"folders": tuple(beside / one for one in found.figures.folders)})
    return found.model_copy(update={"heads": heads, "glass": glass, "figures": figures})
