"""A driver that is held up: it waits with its workers or sends them home, goes on, and misses nothing."""

import itertools
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clinic_mm.jobs import drive
from clinic_mm.jobs import screen as screens
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.jobs.spec import Selection
from clinic_mm.jobs.throttle import Hours, Throttle, Wait
from clinic_mm.report.run import open_run
from tests.conftest import Trained

DAY, NIGHT = datetime(2026, 11, 22, 12, tzinfo=UTC), datetime(2026, 11, 22, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "POLL_S", 0.001)
    monkeypatch.setattr(screens, "POLL_S", 0.001)


def _nights(work: int, rest: int) -> Callable[[], datetime]:
    """A clock of which every `work` looks find night, the next `rest` day."""
    looks = itertools.cycle([*[NIGHT] * work, *[DAY] * rest])
    return lambda: next(looks)


def _options(throttle: Throttle, told: list[Wait | None]) -> ScreenOptions:
    chosen = Selection(limit=12)
    return ScreenOptions(validate=False, unit=3, selection=chosen, throttle=throttle, waits=told.append)


def test_a_run_that_rests_in_the_day_is_the_run_that_never_does(trained: Trained, tmp_path: Path) -> None:
    told: list[Wait | None] = []
    throttle = Throttle(Hours.parse("20:00-06:00"), wall=_nights(work=4, rest=3))
    rested = screen_cohort(trained.model, trained.cohort, tmp_path / "a", options=_options(throttle, told))
    straight = screen_cohort(trained.model, trained.cohort, tmp_path / "b", options=_options(Throttle(), []))
    assert any(wait and wait.long for wait in told)
    assert told[-1] is None
    assert rested.counts == straight.counts
    a, b = open_run(tmp_path / "a"), open_run(tmp_path / "b")
    for key in b.worklist()["case_key"]:
        assert a.prediction(key).content_hash == b.prediction(key).content_hash


def test_a_pace_is_kept_between_units_and_nothing_is_waited_for_after_the_last(
    trained: Trained, tmp_path: Path
) -> None:
    now, told = 0.0, list[Wait | None]()

    def clock() -> float:
        nonlocal now
        now += 1.0
        return now

    throttle = Throttle(most_per_hour=360, clock=clock)  # a unit of three every 30 looks
    screen_cohort(trained.model, trained.cohort, tmp_path / "run", options=_options(throttle, told))
    assert 3 * 30 < now < 4 * 30 + 30


def test_who_rests_still_hears_that_it_is_to_stop_and_leaves_a_list(trained: Trained, tmp_path: Path) -> None:
    asked = threading.Event()

    def heard(wait: Wait | None) -> None:
        if wait and wait.long and not asked.is_set():
            asked.set()
            signal.raise_signal(signal.SIGTERM)

    looks = itertools.count()
    throttle = Throttle(Hours.parse("20:00-06:00"), wall=lambda: NIGHT if next(looks) < 3 else DAY)
    options = ScreenOptions(validate=False, unit=3, selection=Selection(limit=12), throttle=throttle, waits=heard)
    with pytest.raises(SystemExit) as ended:
        screen_cohort(trained.model, trained.cohort, tmp_path / "run", options=options)
    assert ended.value.code == 143
    assert open_run(tmp_path / "run").info.finished_at is None
    assert 0 < len((tmp_path / "run" / "worklist.csv").read_text().splitlines()) - 1 < 12
