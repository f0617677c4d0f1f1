"""Times compare in UTC; a bare date is the end of its day; what cannot be read is None, never a guess."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from clinic_mm.errors import TaskError
from clinic_mm.times import parse_dicom, parse_iso, site_zone, to_utc

BERLIN = ZoneInfo("Europe/Berlin")


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-07-01T12:00:00Z", _utc(2024, 7, 1, 12)),
        ("2024-07-01T12:00:00.250+02:00", _utc(2024, 7, 1, 10, 0, 0, 250_000)),
        ("2024-07-01T12:00:00", _utc(2024, 7, 1, 10)),  # the site's zone, in summer
        ("2024-01-01 12:00", _utc(2024, 1, 1, 11)),
        ("2024-07-01", _utc(2024, 7, 1, 21, 59, 59)),  # nobody knows that it was earlier
        ("20240701", _utc(2024, 7, 1, 21, 59, 59)),
        ("2024-02", _utc(2024, 2, 29, 22, 59, 59)),
        ("2024", _utc(2024, 12, 31, 22, 59, 59)),
        (" 2024-12 ", _utc(2024, 12, 31, 22, 59, 59)),
    ],
)
def test_iso_and_fhir_times_in_utc(text: str, expected: datetime) -> None:
    assert parse_iso(text, BERLIN) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", " ", "yesterday", "2024-13-01", "2023-02-29", "2024-00", "2024-13", "0000", "-2024", "12:30:00"),
        *("2016-12-31T23:59:60Z", "2024-07-01T25:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
    ],
)
def test_what_is_no_time_is_unknown(text: str | None) -> None:
    assert parse_iso(text, BERLIN) is None


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        ("20240701", "120000", _utc(2024, 7, 1, 10)),
        ("2024.07.01", "12", _utc(2024, 7, 1, 10)),  # ACR-NEMA dates still come
        ("20240701", "120000.5", _utc(2024, 7, 1, 10, 0, 0, 500_000)),
        ("20240701 ", " 1200 ", _utc(2024, 7, 1, 10)),
        ("20240701", None, _utc(2024, 7, 1, 21, 59, 59)),
        ("20240701", "noon", _utc(2024, 7, 1, 21, 59, 59)),
    ],
)
def test_dicom_dates_and_times_in_utc(day: str, clock: str | None, expected: datetime) -> None:
    assert parse_dicom(day, clock, BERLIN) == expected


@pytest.mark.parametrize("day", [None, "", "2024", "20241301", "20230229", "00000000", "anonymous"])
def test_a_dicom_day_that_is_none_is_unknown(day: str | None) -> None:
    assert parse_dicom(day, "120000", BERLIN) is None


@pytest.mark.parametrize("clock", ["235960", "250000", "126000"])
def test_a_dicom_time_that_is_none_makes_the_moment_unknown(clock: str) -> None:
    assert parse_dicom("20161231", clock) is None


def test_a_bare_date_is_never_before_a_time_of_its_day() -> None:
    for hour in range(24):
        assert to_utc(date(2024, 3, 31), BERLIN) > to_utc(datetime(2024, 3, 31, hour), BERLIN)
    assert to_utc(datetime(2024, 3, 31, 12, tzinfo=BERLIN), UTC) == _utc(2024, 3, 31, 10)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe", "/etc/localtime", "a" * 300, "UTC\0"])
def test_an_unknown_zone_is_refused_with_the_mend(name: str) -> None:
    with pytest.raises(TaskError, match="Europe/Berlin"):
        site_zone(name)
