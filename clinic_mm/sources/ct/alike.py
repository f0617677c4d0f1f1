"""Notice slices of one CT series that are not stored as their sisters are: often one header of many is damaged.

In:  the headers of the slices of one series, and when each was acquired. Out: the flags that the series deserves.

Each slice is read by its own header all the same, since scanners may change all of this from slice to slice.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from clinic_mm.sources.dicom.header import Header
from clinic_mm.types import Flag

LONGEST_SERIES: Final = timedelta(hours=1)
"""No scan of one series takes longer; a later or earlier slice was taken over, or its time is wrong."""


def alike_flags(headers: Sequence[Header], times: Sequence[datetime | None]) -> tuple[Flag, ...]:
    """What differs between the slices of a series although scanners keep it the same.

    Args:
        headers: Of the slices.
        times: When each was acquired, None where unknown.
    """
    flags = []
    stored: dict[str, set[object]] = {
        "rescale": {(header.slope, header.intercept, header.rescale_type) for header in headers},
        "padding": {header.padding for header in headers},
        "bits": {(h.pixels.bits_allocated, h.pixels.bits_stored, h.pixels.signed) for h in headers},
        "photometric interpretation": {header.pixels.photometric for header in headers},
        "transfer syntax": {header.pixels.transfer_syntax for header in headers},
    }
    if odd := [name for name, values in stored.items() if len(values) > 1]:
        flags.append(Flag(code="ct.slices_differ", why=f"Slices of the series differ in {', '.join(odd)}"))
    known = [time for time in times if time is not None]
    if known and (len(known) < len(times) or max(known) - min(known) > LONGEST_SERIES):
        flags.append(Flag(code="ct.times_differ", why="Slices of the series were not acquired at one time"))
    return tuple(flags)
