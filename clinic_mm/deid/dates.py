"""Move dates by a patient's shift, in the form and precision that they have.

In:  DICOM DA, DT and ranges; FHIR date, dateTime and instant. Out: the same form, moved; None where it is no date.

A date of lower precision (a year, a month) is moved from its middle, so that it is at most one unit from where an exact
date of it would lie. The time of day and the zone stay: intervals are kept to the fraction of a second.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

DA: Final = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
DT: Final = re.compile(r"(\d{4})(?:(\d{2})(?:(\d{2})((?:\d{2}){0,3}(?:\.\d{1,6})?)?)?)?([+-]\d{4})?")
TM: Final = re.compile(
    r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d|60)?)?(?:\.\d{1,6})?|(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
)
FHIR: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})?)?)?)?")
OLDEST_AGE: Final = 90
"""Ages above 89 are one group, 45 CFR 164.514(b)(2)(i)(C)."""
AGE: Final = re.compile(r"(\d{3})([DWMY])")


def dicom_date(text: str, shift: timedelta) -> str | None:
    """A DA or a range of two, PS3.5 6.2; None where it is neither."""
    return _range(text, lambda one: _dicom_day(one, shift))


def dicom_datetime(text: str, shift: timedelta) -> str | None:
    """A DT of any precision, with or without its offset, or a range of two; None where it is neither."""
    # "2020-2021" is a range of years, "20200101-0500" a zone: the standard reads a zone where one can stand.
    if found := DT.fullmatch(text):
        return _moved_dt(found, shift)
    first, dash, second = text.partition("-")
    if not dash or not (first or second):
        return None
    return _joined([_moved_dt(DT.fullmatch(one), shift) if one else "" for one in (first, second)])


def dicom_time(text: str) -> str | None:
    """A TM or a range of two, unchanged; None where it is neither."""
    return _range(text, lambda one: one if TM.fullmatch(one) else None)


def dicom_age(text: str) -> str | None:
    """An AS, those above 89 years as 090Y; None where it is none."""
    found = AGE.fullmatch(text)
    if not found:
        return None
    return "090Y" if found[2] == "Y" and int(found[1]) >= OLDEST_AGE else text


def fhir_date(text: str, shift: timedelta) -> str | None:
    """A FHIR date, dateTime or instant of any precision; None where it is none."""
    found = FHIR.fullmatch(text)
    if not found:
        return None
    year, month, day, rest = found.groups()
    if moved := moved_day(year, month, day, shift):
        return f"{moved:%Y-%m-%d}{rest or ''}" if day else f"{moved:%Y-%m}" if month else f"{moved:%Y}"
    return None


def moved_day(year: str, month: str | None, day: str | None, shift: timedelta) -> date | None:
    """A day moved, of a month or a year its middle; None where there is no such day, or the calendar ends."""
    try:
        moved = date(int(year), int(month or 7), int(day or (15 if month else 2))) + shift
    except (ValueError, OverflowError):
        return None
    return moved if moved.year >= 1000 else None  # strftime does not pad a year


def birth_year(text: str, shift: timedelta, last: date) -> str | None:
    """The year of a date of birth, moved; who was 90 or older on `last` is given as 90 then. None where it is none."""
    found = FHIR.fullmatch(text)
    moved = moved_day(found[1], found[2], found[3], shift) if found else None
    if moved is None:
        return None
    return str(max(moved.year, (last + shift).year - OLDEST_AGE))


def day_of(text: object) -> date | None:
    """The day of a full FHIR date; None for anything else."""
    try:
        return datetime.fromisoformat(str(text)[:10]).date()
    except ValueError:
        return None


def _dicom_day(text: str, shift: timedelta) -> str | None:
    found = DA.fullmatch(text)
    moved = moved_day(found[1], found[2], found[3], shift) if found else None
    return f"{moved:%Y%m%d}" if moved else None


def _moved_dt(found: re.Match[str] | None, shift: timedelta) -> str | None:
    if found is None:
        return None
    year, month, day, clock, zone = found.groups()
    moved = moved_day(year, month, day, shift)
    if moved is None:
        return None
    text = f"{moved:%Y%m%d}" if day else f"{moved:%Y%m}" if month else f"{moved:%Y}"
    return text + (clock or "") + (zone or "")


def _range(text: str, moved: Callable[[str], str | None]) -> str | None:
    if "-" not in text:
        return moved(text)
    first, _, second = text.partition("-")
    if not (first or second):
        return None
    return _joined([moved(one) if one else "" for one in (first, second)])


def _joined(parts: list[str | None]) -> str | None:
    return None if None in parts else "-".join(str(part) for part in parts)
