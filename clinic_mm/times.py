"""Times as hospitals write them, compared in UTC.

In:  ISO 8601 and FHIR dates and instants, DICOM DA/TM/DT, with or without a zone.
Out: aware datetimes in UTC. A time without a zone takes the site's; a bare date counts as the end of its day,
since nobody knows that it was earlier. What cannot be read is None, never a guess.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from clinic_mm.errors import TaskError

END_OF_DAY = time(23, 59, 59)
DICOM_TIME = re.compile(r"^(\d{2})(\d{2})?(\d{2})?(?:\.(\d{1,6}))?$")
DICOM_DATE = re.compile(r"^(\d{4})\.?(\d{2})\.?(\d{2})$")
FHIR_PARTIAL = re.compile(r"^(\d{4})(?:-(\d{2}))?$")


def site_zone(name: str) -> ZoneInfo:
    """The time zone that a site's zoneless times are read in.

    Raises:
        TaskError: If the zone is unknown.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TaskError(f"Unknown time zone {name!r}", "site_timezone", "Name one such as Europe/Berlin") from error


def to_utc(moment: datetime | date, zone: tzinfo = UTC) -> datetime:
    """One moment in UTC; a bare date is the end of its day at the site."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, END_OF_DAY)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def parse_iso(text: str | None, zone: tzinfo = UTC) -> datetime | None:
    """An ISO 8601 or FHIR date, dateTime or instant in UTC; None if unreadable.

    A year or a month alone counts as its last day.
    """
    text = (text or "").strip()
    if not text:
        return None
    try:
        if partial := FHIR_PARTIAL.match(text):
            return to_utc(_last_day(int(partial[1]), int(partial[2] or 12)), zone)
        return to_utc(date.fromisoformat(text) if len(text) in {8, 10} else datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError):
        return None


def parse_dicom(day: str | None, clock: str | None = None, zone: tzinfo = UTC) -> datetime | None:
    """DICOM DA and TM (PS3.5 6.2) in UTC; without a TM the end of the day. None if unreadable."""
    found = DICOM_DATE.match((day or "").strip())
    if not found:
        return None
    try:
        on = date(int(found[1]), int(found[2]), int(found[3]))
        at = DICOM_TIME.match((clock or "").strip())
        if not at:
            return to_utc(on, zone)
        fraction = int((at[4] or "0").ljust(6, "0"))
        return to_utc(datetime.combine(on, time(int(at[1]), int(at[2] or 0), int(at[3] or 0), fraction)), zone)
    except (ValueError, OverflowError):
        return None


def _last_day(year: int, month: int) -> date:
    first = date(year, month, 1)  # refuses month 0 and 13, which arithmetic would turn into another year's
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
