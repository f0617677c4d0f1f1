"""Find dates in a note and move them, each in the form that it has.

In:  a text and a patient's shift. Out: start, end and the moved date of each.

03/04/2020 is read as the fourth of March unless only the other way gives a date, 3.4.2020 as the third of April. A day
and a month without a year are moved as of a leap year, and only where a word tells that they are a date.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final

from clinic_mm.deid.dates import moved_day
from clinic_mm.deid.policy import read_policy

Spans = Iterator[tuple[int, int, str]]
ISO: Final = re.compile(r"(?<![\d\-/.])((?:19|20)\d{2})([\-/.])(\d{1,2})\2(\d{1,2})(?![\d\-/]|\.\d)")
PACKED: Final = re.compile(r"(?<![\w.\-])((?:19|20)\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?![\w.\-])")
NUMERIC: Final = re.compile(r"(?<![\d\-/.])(\d{1,2})([./\-])[ ]?(\d{1,2})\2[ ]?((?:19|20)\d{2}|\d{2})(?![\d\-/]|\.\d)")
MONTH_YEAR: Final = re.compile(r"(?<![\d\-/.])(\d{1,2})([/.\-])((?:19|20)\d{2})(?![\d\-/]|\.\d)")
LEADS: Final = r"(?i:on|since|dated?|until|by|till|am|vom|seit|bis|dob:?|date:|datum:?)"
DAY_MONTH: Final = re.compile(
    rf"\b{LEADS}[ ](\d{{1,2}})(?:(/)(\d{{1,2}})|(\.)(\d{{1,2}})(?=\.))(?![\d/%]|\.\d|[ ]?(?:mm|cm|mg|ml|kg|weeks|days))"
)
YEAR_LEADS: Final = r"(?i:in|since|of|from|until|year|circa|early|late|mid|around|seit|im Jahr|Jahr|ca\.)"
YEAR: Final = re.compile(rf"\b{YEAR_LEADS}[ \-]((?:19|20)\d{{2}})(?!\d|[/\-.]\d)")
LEAP: Final = "2020"


def date_spans(text: str, shift: timedelta) -> Spans:
    """Dates in a text, and what stands there instead."""
    yield from _iso(text, shift)
    yield from _numeric(text, shift)
    yield from _worded(text, shift)
    for found in YEAR.finditer(text):
        if moved := moved_day(found[1], None, None, shift):
            yield found.start(1), found.end(1), f"{moved:%Y}"


def _iso(text: str, shift: timedelta) -> Spans:
    for found in ISO.finditer(text):
        if moved := moved_day(found[1], found[3], found[4], shift):
            mark, wide = found[2], len(found[3]) > 1
            month, day = (f"{moved:%m}", f"{moved:%d}") if wide else (str(moved.month), str(moved.day))
            yield found.start(), found.end(), f"{moved:%Y}{mark}{month}{mark}{day}"
    for found in PACKED.finditer(text):
        if moved := moved_day(found[1], found[2], found[3], shift):
            yield found.start(), found.end(), f"{moved:%Y%m%d}"


def _numeric(text: str, shift: timedelta) -> Spans:
    for found in NUMERIC.finditer(text):
        a, mark, b, year = found.groups()
        full = year if len(year) == 4 else _century(year)
        if placed := _placed(a, b, full, mark, shift):
            first, second = _in_order(*placed)
            last = f"{placed[0]:%Y}" if len(year) == 4 else f"{placed[0]:%y}"
            yield found.start(), found.end(), f"{_like(first, a)}{mark}{_like(second, b)}{mark}{last}"
    for found in MONTH_YEAR.finditer(text):
        if moved := moved_day(found[3], found[1], None, shift):
            yield found.start(), found.end(), f"{_like(moved.month, found[1])}{found[2]}{moved:%Y}"
    for found in DAY_MONTH.finditer(text):
        day, mark, month = found[1], found[2] or found[4], found[3] or found[5]
        if placed := _placed(day, month, LEAP, mark, shift):
            first, second = _in_order(*placed)
            yield found.start(1), found.end(5 if found[5] else 3), f"{_like(first, day)}{mark}{_like(second, month)}"


def _worded(text: str, shift: timedelta) -> Spans:
    """A month by its name, with a day, a year, or both."""
    day_first, month_first, months = _month_forms()
    for found in day_first.finditer(text):
        if moved := moved_day(found[4] or LEAP, str(months[found[3].lower()]), found[1], shift):
            year = f" {moved:%Y}" if found[4] else ""
            yield found.start(), found.end(), f"{moved.day}{found[2] or ''} {_named(moved, found[3])}{year}"
    for found in month_first.finditer(text):
        month, day, _, year = found.groups()
        if not (day or year):
            continue
        if moved := moved_day(year or LEAP, str(months[month.lower()]), day, shift):
            said = f"{_named(moved, month)}{f' {moved.day}' if day else ''}"
            comma = "," if day and year else ""
            yield found.start(), found.end(), said + (f"{comma} {moved:%Y}" if year else "")


@cache
def _month_forms() -> tuple[re.Pattern[str], re.Pattern[str], dict[str, int]]:
    listed: dict[str, int] = read_policy().lists["note"]["months"]
    names = "|".join(sorted(listed, key=len, reverse=True))
    year = r"(?:,?[ ]((?:19|20)\d{2}))?"
    day_first = re.compile(
        rf"(?<![\d.])(\d{{1,2}})(st|nd|rd|th|\.)?(?:[ ]of)?[ \-]({names})\b\.?(?:,?[ \-]((?:19|20)\d{{2}}))?",
        re.IGNORECASE,
    )
    month_first = re.compile(
        rf"\b({names})\b\.?(?:[ \-](\d{{1,2}})(st|nd|rd|th)?(?![\d./]))?{year}(?!\d)", re.IGNORECASE
    )
    return day_first, month_first, {name.lower(): number for name, number in listed.items()}


def _named(moved: date, like: str) -> str:
    """The month's name in the language and length of the one that it replaces."""
    listed: dict[str, int] = read_policy().lists["note"]["months"]
    german = like.lower() in {
        "januar",
        "jänner",
        "februar",
        "märz",
        "mär",
        "mai",
        "juni",
        "juli",
        "oktober",
        "okt",
        "dezember",
        "dez",
    }
    among = [name for name, number in listed.items() if number == moved.month]
    told = {"März", "Mai", "Juni", "Juli", "Januar", "Februar", "Oktober", "Dezember"}
    fits = [name for name in among if (name in told) == german and (len(name) > 4) == (len(like) > 4)]
    name = (fits or [name for name in among if (name in told) == german] or among)[0]
    return name.upper() if like.isupper() else name


def _placed(a: str, b: str, year: str, mark: str, shift: timedelta) -> tuple[date, bool] | None:
    orders = (True, False) if mark == "." else (False, True)
    for day_first in orders:
        day, month = (a, b) if day_first else (b, a)
        if moved := moved_day(year, month, day, shift):
            return moved, day_first
    return None


def _in_order(moved: date, day_first: bool) -> tuple[int, int]:
    return (moved.day, moved.month) if day_first else (moved.month, moved.day)


@cache
def _this_year() -> int:
    return datetime.now(UTC).year


def _century(year: str) -> str:
    """Of two digits: this century up to next year, the last one otherwise."""
    return f"20{year}" if 2000 + int(year) <= _this_year() + 1 else f"19{year}"


def _like(number: int, text: str) -> str:
    return f"{number:0{len(text)}d}" if len(text) > 1 else str(number)
