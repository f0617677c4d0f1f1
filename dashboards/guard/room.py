"""The one reading room of this process: its settings, its store, and which cases are closed.

In:  the environment, as `dashboards/server.py` leaves it. Out: the Room, opened once.

    CLINIC_MM_HOME   folder of what the room keeps: the store, the heads of its audit chain, the key of cookies
    CLINIC_MM_SITE   dashboard.toml; the defaults where it is empty
    CLINIC_MM_DEMO   `1`: simulated cases, one person with every role who needs no password
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clinic_mm.errors import InputError, UsageError
from clinic_mm.site import SiteSettings, read_site

if TYPE_CHECKING:
    from clinic_mm.store.store import Store

HOME: Final = "CLINIC_MM_HOME"
SITE: Final = "CLINIC_MM_SITE"
DEMO: Final = "CLINIC_MM_DEMO"


@dataclass(frozen=True, slots=True)
class Room:
    """What every part of the guard needs to know."""

    site: SiteSettings
    store: "Store"
    home: Path
    closed: frozenset[str] = frozenset()
    demo: bool = False

    def is_closed(self, case_key: str) -> bool:
        """Whether a case opens only to those who broke its glass."""
        return case_key in self.closed

    @property
    def cookie(self) -> str:
        """The name of the cookie: two rooms on one machine must not sign each other out, since cookies know no port."""
        mark = sha256(str(self.home).encode()).hexdigest()[:8]
        return f"__Host-clinic_mm_{mark}" if self.site.proxy.https else f"clinic_mm_{mark}"


def opened() -> Room:
    """The room of this process.

    Raises:
        UsageError: If nobody named its home, so that the pages were not started by `clinic-mm dashboard`.
        ClinicError: If its settings or its store cannot be used.
    """
    home = os.environ.get(HOME, "")
    if not home:
        raise UsageError("The reading room has no home", HOME, "Start with: clinic-mm dashboard RUN")
    return _opened(Path(home), os.environ.get(SITE, ""), os.environ.get(DEMO, "") == "1")


@cache
def _opened(home: Path, site: str, demo: bool) -> Room:
    from clinic_mm.store.store import open_store

    settings = read_site(Path(site) if site else None)
    store = open_store(settings.store or f"sqlite:///{home / 'store.sqlite'}", heads=settings.heads or home / "heads")
    return Room(settings, store, home, _closed(settings.glass.closed_cases), demo)


def _closed(path: Path | None) -> frozenset[str]:
    """Keys of closed cases: one a line, `#` begins a remark."""
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise InputError(
            "The list of closed cases cannot be read", str(path), "Mend glass.closed_cases in the dashboard file"
        ) from None
    return frozenset(key for line in lines if (key := line.partition("#")[0].strip()))


def now() -> datetime:
    """The time that acts are written with."""
    return datetime.now(UTC)
