"""Tell leads by their labels, and millivolts by their unit.

In:  labels, codes and units as files have them. Out: standard lead names, millivolts in one unit.

The names are data: `schemas/ecg_leads.toml`. What is not there is no lead and no unit: nothing is guessed.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from clinic_mm import bundle
from clinic_mm.types import Flag

BETWEEN: Final = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class LeadTable:
    """The policy table, ready for use."""

    leads: tuple[str, ...]
    names: dict[str, str]
    codes: dict[tuple[str, str], str]
    prefix: re.Pattern[str]
    units: dict[str, float]
    rates_hz: tuple[float, float]
    least_s: float
    most_s: float
    floor: int
    flat_mv: float
    bad_share: float
    rail_share: float
    gap_share: float
    scale_mv: tuple[float, float]
    einthoven: float
    mains_ratio: float
    mains_mv: float


@cache
def lead_table() -> LeadTable:
    """Read `schemas/ecg_leads.toml` once."""
    given = bundle.policy("ecg_leads")
    limits, coded = given["limits"], given["codes"]
    known = {lead: lead for lead in given["leads"]} | given["aliases"]
    numbered = [(number, name) for number, name in coded["numbers"].items()]
    codes = {
        (designator, form.format(number)): name
        for designator, form in zip(coded["designators"], coded["forms"], strict=True)
        for number, name in numbered
    }
    return LeadTable(
        leads=tuple(given["leads"]),
        names={_bare(label): lead for label, lead in known.items()},
        codes=codes,
        prefix=re.compile(rf"(?:(?:{'|'.join(given['prefixes'])})[\s_:-]*)+", re.IGNORECASE),
        units=dict(given["units"]),
        rates_hz=tuple(limits.pop("rates_hz")),
        scale_mv=tuple(limits.pop("scale_mv")),
        **limits,
    )


def lead_name(label: str) -> str | None:
    """The lead that a label names, None where the table does not know it."""
    table, text = lead_table(), label.strip(" .\0")
    if text.startswith("-"):
        return None  # a lead turned upside down is another lead
    return table.names.get(_bare(text)) or table.names.get(_bare(table.prefix.sub("", text, count=1)))


def coded_lead(designator: str, code: str) -> str | None:
    """The lead of a code of DICOM CID 3001, None where the table does not know it."""
    return lead_table().codes.get((designator, code))


def millivolts_per(unit: str) -> float:
    """Millivolts in one unit; 0 where it is no unit of voltage that the table knows."""
    return lead_table().units.get(unit.strip(), 0.0)


def chosen(found: Sequence[str | None]) -> tuple[dict[str, int], tuple[Flag, ...]]:
    """The place of each lead among the channels of a file; a lead that stands twice is none.

    Args:
        found: What `lead_name` says of each channel.
    """
    often = Counter(name for name in found if name)
    place = {name: found.index(name) for name in lead_table().leads if often[name] == 1}
    twice = [name for name in lead_table().leads if often[name] > 1]
    unknown = sum(name is None for name in found)
    flags = []
    if unknown:
        flags.append(Flag(code="ecg.other_channels", why=f"{unknown} channels are none of the 12 leads: left out"))
    if twice:
        flags.append(Flag(code="ecg.duplicate_lead", why=f"{', '.join(twice)} stand twice and were left out"))
    return place, tuple(flags)


def _bare(label: str) -> str:
    return BETWEEN.sub("", label).upper()
