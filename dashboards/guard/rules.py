"""The table of acts, roles, pages and addresses: `schemas/roles.toml`, read once and checked.

In:  the name of an act, the path of an address. Out: who may, or what it asks. Nobody is asked for anything here.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from clinic_mm.bundle import policy

ANYONE: Final = "anyone"
SIGNED: Final = "signed"
CALLBACK: Final = "/oauth2callback"
"""Where an identity provider sends people back to (of Streamlit)."""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a person can do."""

    name: str
    roles: frozenset[str]
    glass: bool
    """On a closed case only after breaking the glass."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One page of the dashboard."""

    path: str
    view: str
    title: str
    act: str


@dataclass(frozen=True, slots=True)
class Address:
    """What an address asks of who comes."""

    begins: str
    asks: str
    own: bool = False
    oidc: bool = False

    def fits(self, path: str) -> bool:
        """Whether a path lies here: equal, or below a beginning that ends in a slash."""
        return path == self.begins or (self.begins.endswith("/") and path.startswith(self.begins))


@dataclass(frozen=True, slots=True)
class Rules:
    """The whole table."""

    roles: dict[str, str]
    acts: dict[str, Act]
    pages: tuple[Shown, ...]
    addresses: tuple[Address, ...]

    def allow(self, roles: frozenset[str], act: str) -> bool:
        """Whether one of the roles may do the act.

        Raises:
            KeyError: If there is no such act, which is a mistake of ours and refused as such.
        """
        return bool(self.acts[act].roles & roles)

    def page(self, path: str) -> Shown | None:
        """The page at a path; the bare address is every person's home, which he finds himself."""
        return next((page for page in self.pages if path == f"/{page.path}"), None)

    def address(self, path: str) -> Address | None:
        """What holds for a path; None where nothing is known of it."""
        return next((one for one in self.addresses if one.fits(path)), None)


@cache
def rules() -> Rules:
    """The table of this installation."""
    found: dict[str, Any] = policy("roles")
    acts = {
        name: Act(name, frozenset(row["roles"]), bool(row.get("glass", False))) for name, row in found["acts"].items()
    }
    pages = tuple(Shown(path, row["view"], row["title"], row["act"]) for path, row in found["pages"].items())
    addresses = tuple(Address(**row) for row in found["addresses"])
    asked = {page.act for page in pages} | {one.asks for one in addresses} - {ANYONE, SIGNED}
    assert asked <= set(acts), f"acts that nobody defined: {asked - set(acts)}"
    assert all(act.roles <= set(found["roles"]) for act in acts.values()), "a role that nobody defined"
    return Rules(dict(found["roles"]), acts, pages, addresses)
