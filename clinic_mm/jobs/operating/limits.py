"""When an operator is told to look, and when to act: `schemas/operator.toml`, read once and checked.

In:  the table of this installation. Out: `Limits`.
"""

from functools import cache

from clinic_mm.bundle import folder
from clinic_mm.toml_file import fitted, read_toml
from clinic_mm.types import Frozen

SEE = "Install clinic_mm again from its wheel"


class Disk(Frozen):
    """Free space, whichever is reached first: in 10⁹ bytes, and as a share of the disk."""

    look_gb: float
    look_share: float
    act_gb: float
    act_share: float


class Work(Frozen):
    """Of a driver; see the table."""

    pace_minutes: float
    quiet_minutes: float


class Monitor(Frozen):
    """How far monitoring may lie behind the run."""

    behind_hours: float


class Room(Frozen):
    """Of the reading room."""

    taken_in_minutes: float
    verify_days: float
    verify_seconds: float


class Scan(Frozen):
    """How far a folder is looked through."""

    files: int


class Limits(Frozen):
    """The whole table."""

    disk: Disk
    work: Work
    monitor: Monitor
    room: Room
    scan: Scan


@cache
def limits() -> Limits:
    """The table of this installation.

    Raises:
        TaskError: If somebody made a mistake in it.
    """
    path = folder("schemas") / "operator.toml"
    return fitted(Limits, read_toml(path, "table of operators", SEE), str(path), SEE)
