"""A file is read when nobody writes beside it any more, and what was read before is never lost meanwhile."""

import os
from pathlib import Path

import pytest

from clinic_mm.jobs.watch_files import Files, remember, remembered


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(tmp_path: Path, clock: Clock) -> Files:
    return Files(lambda: sorted(p for p in tmp_path.rglob("*") if p.is_file()), settle_s=10, clock=clock)


def _write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_read_once_its_folder_is_still(files: Files, clock: Clock, tmp_path: Path) -> None:
    one = _write(tmp_path / "a" / "1")
    assert files.look().unsettled == {one}
    clock.now = 9.9
    assert not files.look().news
    clock.now = 10
    look = files.look()
    assert (set(look.ready), look.unsettled, look.news) == ({one}, frozenset(), True)


def test_a_finished_slice_waits_for_the_series_that_is_still_copied(files: Files, clock: Clock, tmp_path: Path) -> None:
    slices, other = [], _write(tmp_path / "b" / "other")
    for second in range(0, 60, 5):
        clock.now = second
        slices.append(_write(tmp_path / "a" / f"{second}"))
        look = files.look()
        assert look.unsettled >= set(slices)
    assert set(look.ready) == {other}
    clock.now += 10
    assert set(files.look().ready) == {*slices, other}


def test_a_file_that_grows_is_not_read_whatever_its_times_say(files: Files, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "a" / "1"
    for second in range(0, 100, 5):
        clock.now = second
        _write(path, "x" * second)
        os.utime(path, (1, 1))  # as copying with its old time would leave it
        assert files.look().unsettled == {path}


def _read(files: Files, clock: Clock) -> None:
    files.look()
    clock.now += 10
    files.read = files.look().ready


def test_what_was_read_stays_while_something_new_comes_beside_it(files: Files, clock: Clock, tmp_path: Path) -> None:
    old = _write(tmp_path / "a" / "1")
    _read(files, clock)
    assert not files.look().news
    new = _write(tmp_path / "a" / "2")
    look = files.look()
    assert (set(look.ready), set(look.unsettled), look.changing, look.news) == ({old}, {new}, 0, False)


@pytest.mark.parametrize("how", ["rewritten", "gone", "replaced"])
def test_while_what_was_read_changes_nothing_is_read(files: Files, clock: Clock, tmp_path: Path, how: str) -> None:
    old, _ = _write(tmp_path / "a" / "1"), _write(tmp_path / "b" / "1")
    _read(files, clock)
    if how == "rewritten":
        _write(old, "other")
    elif how == "gone":
        old.unlink()
    else:
        was = old.stat()
        new = _write(tmp_path / "a" / "new", "y")
        os.utime(new, ns=(was.st_atime_ns, was.st_mtime_ns))
        new.replace(old)  # same size, same time
    look = files.look()
    assert look.changing
    assert not look.news
    clock.now += 10
    look = files.look()
    assert not look.changing
    assert look.news


def test_what_changes_while_it_is_read_is_noticed(files: Files, clock: Clock, tmp_path: Path) -> None:
    path = _write(tmp_path / "a" / "1")
    files.look()
    clock.now = 10
    look = files.look()
    assert files.unchanged(look)
    _write(path, "other")
    assert not files.unchanged(look)


def test_what_was_read_is_remembered_by_the_next_process(files: Files, clock: Clock, tmp_path: Path) -> None:
    _write(tmp_path / "a" / "1")
    _read(files, clock)
    cohort = tmp_path / "cohort"
    remember(cohort, files.read)
    again = Files(lambda: list(files.read), remembered(cohort), settle_s=10, clock=clock)
    assert not again.look().news
    assert again.look().unsettled == frozenset()


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b'{"/a": {"1": [1]}}', b'{"/a": 1}'])
def test_a_memory_that_is_gone_or_damaged_only_costs_reading_again(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "watched.json").write_bytes(content)
    assert remembered(tmp_path) == {}
