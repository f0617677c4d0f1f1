"""Tell by its column names what a table of gaze samples holds.

In:  names of columns in lower case. Out: a `GazeColumns`, or None where the names do not say all.

The names are data: `schemas/eye.toml`. A unit that no name states is not guessed.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from clinic_mm import bundle
from clinic_mm.sources.samples import GazeColumns


@dataclass(frozen=True, slots=True)
class GazeTable:
    """The policy table, ready for use."""

    times: dict[str, float]
    gaze: dict[str, tuple[str, str]]
    pupil: dict[str, str]
    valid: str
    rates_hz: tuple[float, float]
    least_s: float
    most_s: float
    gap_steps: float
    gap_s: float
    gap_share: float
    uneven: float
    duplicate_share: float
    lost_share: float
    lost_refused: float
    off_screen: float
    norm_range: tuple[float, float]
    deg_most: float
    wrong_share: float
    pupil_mm: tuple[float, float]
    blink_s: tuple[float, float]


@cache
def gaze_table() -> GazeTable:
    """Read `schemas/eye.toml` once."""
    given = bundle.policy("eye")
    columns = given["columns"]
    limits: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given["limits"].items()}
    return GazeTable(
        times=dict(columns["time"]),
        gaze={unit: (x, y) for unit, (x, y) in columns["gaze"].items()},
        pupil=dict(columns["pupil"]),
        valid=columns["valid"],
        **limits,
    )


def gaze_columns(names: Collection[str]) -> GazeColumns | None:
    """What column names say by themselves."""
    table, there = gaze_table(), set(names)
    times = [name for name in table.times if name in there]
    units = [unit for unit, pair in table.gaze.items() if there.issuperset(pair)]
    pupils = [unit for unit, name in table.pupil.items() if name in there]
    if len(times) != 1 or len(units) != 1 or len(pupils) > 1:
        return None
    x, y = table.gaze[units[0]]
    return GazeColumns.model_validate(
        {
            "time": times[0],
            "time_unit": times[0].removeprefix("time_"),
            "x": x,
            "y": y,
            "unit": units[0],
            "pupil": table.pupil[pupils[0]] if pupils else "",
            "pupil_unit": pupils[0] if pupils else "au",
            "valid": table.valid if table.valid in there else "",
        }
    )
