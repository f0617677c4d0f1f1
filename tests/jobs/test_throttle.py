"""When work may go on: hours over midnight and on the days when clocks change, load, pace."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from clinic_mm.errors import UsageError
from clinic_mm.jobs.throttle import Hours, Throttle

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "wall", "within"),
    [
        ("20:00-06:00", "20:00", True),
        ("20:00-06:00", "23:59", True),
        ("20:00-06:00", "05:59", True),
        ("20:00-06:00", "06:00", False),
        ("20:00-06:00", "12:00", False),
        ("9:30-17:00", "09:29", False),
        ("9:30-17:00", "09:30", True),
        ("9:30-17:00", "17:00", False),
    ],
)
def test_hours_go_by_the_wall_clock_of_the_site_and_may_go_over_midnight(text: str, wall: str, within: bool) -> None:
    moment = datetime.fromisoformat(f"2026-11-22T{wall}").replace(tzinfo=BERLIN)
    throttle = Throttle(Hours.parse(text), zone=BERLIN, wall=lambda: moment.astimezone(UTC))
    assert (throttle.wait() is None) is within


@pytest.mark.parametrize(("day", "worked_h"), [("2026-03-29", 9), ("2026-10-25", 11), ("2026-11-22", 10)])
def test_the_night_of_a_clock_change_is_an_hour_shorter_or_longer(day: str, worked_h: int) -> None:
    noon_before = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=BERLIN) - timedelta(days=1)
    start = noon_before.astimezone(UTC)
    quarters = [(start + timedelta(minutes=15 * n)).astimezone(BERLIN).time() for n in range(4 * 24)]
    assert sum(Hours.parse("20:00-06:00").holds(wall) for wall in quarters) == 4 * worked_h


@pytest.mark.parametrize("text", ["", "20-6", "24:00-06:00", "20:61-06:00", "20:00-20:00", "20:00", "night"])
def test_what_are_no_hours_says_how_to_write_them(text: str) -> None:
    with pytest.raises(UsageError, match="20:00-06:00"):
        Hours.parse(text)


def test_outside_its_hours_it_waits_long_and_says_in_which_zone() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    throttle = Throttle(Hours.parse("20:00-06:00"), zone=BERLIN, wall=lambda: now)
    wait = throttle.wait()
    assert wait is not None
    assert wait.long
    assert wait.why == "outside 20:00-06:00 Europe/Berlin"
    throttle.wall = lambda: datetime(2026, 11, 22, 19, tzinfo=UTC)  # 20:00 in Berlin
    assert throttle.wait() is None


def test_above_a_load_it_waits_and_below_it_goes_on() -> None:
    throttle = Throttle(pause_above=4, load=lambda: 4.1)
    wait = throttle.wait()
    assert wait is not None
    assert not wait.long
    throttle.load = lambda: 4.0
    assert throttle.wait() is None


@pytest.mark.parametrize("unit", [1, 7, 64])
def test_no_hour_sees_more_than_was_allowed_and_one_unit(unit: int) -> None:
    now, handed = 0.0, list[tuple[float, int]]()
    throttle = Throttle(most_per_hour=120, clock=lambda: now)
    while now < 4 * 3600:
        while throttle.wait() is None:
            throttle.took(unit)
            handed.append((now, unit))
        now += 10
    for start in range(0, 3 * 3600, 300):
        within = sum(n for at, n in handed if start <= at < start + 3600)
        assert 120 - unit <= within <= 120 + unit


def test_a_pause_earns_no_burst() -> None:
    now = 0.0
    throttle = Throttle(most_per_hour=60, clock=lambda: now)
    throttle.took(1)
    now = 7200.0
    throttle.took(1)
    assert throttle.wait() is not None


def test_without_a_word_nothing_waits() -> None:
    throttle = Throttle()
    throttle.took(1_000_000)
    assert throttle.wait() is None
