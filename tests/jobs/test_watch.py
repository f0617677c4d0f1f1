"""A watch screens what arrives, once; it waits for what is not there yet, and ends when it is asked to."""

import shutil
import signal
import threading
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from clinic_mm.errors import InputError, LeakError, UsageError
from clinic_mm.jobs import ledger_read, lock, watch, watch_source
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.plan import NO_CASE
from clinic_mm.jobs.watch import Watch
from clinic_mm.jobs.watch_source import Folder, Manifest, source_of
from clinic_mm.report.run import RunInfo, open_run
from tests.conftest import Trained

OPTIONS = ScreenOptions(validate=False, resume=True)


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Site(NamedTuple):
    """A copy of some simulated cases, as files arrive at a site."""

    drop: Path
    labels: pd.DataFrame

    def label(self, n: int) -> None:
        """The first n cases are due."""
        self.labels.head(n).to_csv(self.drop / "labels.csv", index=False)


@pytest.fixture
def site(trained: Trained, tmp_path: Path) -> Site:
    drop = tmp_path / "drop"
    shutil.copytree(trained.files, drop)
    return Site(drop, pd.read_csv(drop / "labels.csv"))


def _watch(site: Site, trained: Trained, clock: Clock, told: list[RunInfo]) -> Watch:
    out = site.drop.parent / "run"
    source = source_of(site.drop, out, cohort=None, key=trained.key, settle_s=10, say=lambda _: None)
    assert isinstance(source, Folder)
    source.files.clock = clock
    return Watch(trained.model, source, out, options=OPTIONS, told=told.append)


def _units(run: Path) -> dict[str, int]:
    with ledger_read.read_only(run) as opened:
        return dict(opened.db.execute("SELECT case_key, unit FROM cases"))


def test_what_arrives_is_answered_once_and_what_changes_again(
    site: Site, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, told, held = Clock(), list[RunInfo](), site.drop.parent / "held"
    folder = min(path for path in (site.drop / "dicom").iterdir() if path.is_dir())
    folder.rename(held)  # the X-rays of a few cases come later
    site.label(40)
    watching = _watch(site, trained, clock, told)
    assert not watching.round()
    assert told == []  # nothing has settled yet
    clock.now = 10
    watching.round()
    watching.round()
    assert len(told) == 1
    first = _units(watching.out)
    assert len(first) == 40

    held.rename(folder)
    site.label(42)
    watching.round()
    assert len(told) == 1
    clock.now = 20
    watching.round()
    assert len(told) == 2
    second = _units(watching.out)
    again = {key for key, unit in first.items() if second[key] != unit}
    assert len(second) == 42
    assert 0 < len(again) < 10
    assert told[-1].counts.total == 42
    ranks = pd.read_csv(watching.out / "worklist.csv")
    assert ranks["urgency"].is_monotonic_decreasing
    assert len(ranks) == 42

    # killed and started again: nothing is read and nothing is answered
    monkeypatch.setattr(watch_source, "ingest", None)
    watching = _watch(site, trained, Clock(), told)
    watching.round()
    assert _units(watching.out) == second
    assert open_run(watching.out).info.finished_at == told[1].finished_at


class Growing:
    """A cohort that another process writes."""

    cohort = Path("cohort")

    def __init__(self, *contents: str | None) -> None:
        self.contents = [*contents]

    def refresh(self) -> str | None:
        return self.contents.pop(0) if len(self.contents) > 1 else self.contents[0]

    def zone(self) -> ZoneInfo:
        return ZoneInfo("UTC")


def _rounds(monkeypatch: pytest.MonkeyPatch, source: Growing, *ends: Exception | None) -> tuple[Watch, list[bool]]:
    """A watch whose screenings end as told, and whether each was a resumed one."""
    resumed, left = list[bool](), [*ends]

    def screen(*_: object, options: ScreenOptions, **__: object) -> None:
        resumed.append(options.resume)
        if (end := left.pop(0)) is not None:
            raise end

    monkeypatch.setattr(watch, "screen_cohort", screen)
    monkeypatch.setattr(watch, "content_of", lambda _: source.contents[0])
    return Watch(Path("model"), source, Path("run"), options=ScreenOptions()), resumed


def test_a_cohort_that_is_being_written_or_has_no_case_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Growing(None, "a", "a", "a")
    watching, resumed = _rounds(monkeypatch, source, InputError("?", "", NO_CASE), LeakError("?", "", ""), None)
    for _ in range(6):
        assert not watching.round()
    assert resumed == [False, True, True]


def test_a_cohort_that_changes_while_it_is_screened_is_screened_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    watching, resumed = _rounds(monkeypatch, Growing("a", "b"), InputError("It changed", "", ""), None)
    assert watching.round()
    assert not watching.round()
    assert resumed == [False, True]


def test_any_other_error_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    watching, _ = _rounds(monkeypatch, Growing("a"), InputError("The disk is full", "", ""))
    with pytest.raises(InputError, match="full"):
        watching.round()


@pytest.mark.parametrize(("number", "ended"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_who_watches_ends_at_once(number: signal.Signals, ended: type[BaseException], tmp_path: Path) -> None:
    main, started = threading.get_ident(), threading.Event()

    class Telling(Growing):
        def refresh(self) -> str | None:
            started.set()
            return None

    def stop() -> None:
        assert started.wait(10)
        signal.pthread_kill(main, number)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(ended):
        Watch(Path("model"), Telling(None), tmp_path / "run", every_s=3600).run()
    thread.join()


def test_two_watches_of_one_run_are_refused(tmp_path: Path) -> None:
    with (
        lock.only_driver(tmp_path / "run", watch.LOCK),
        pytest.raises(InputError, match="Another process"),
    ):
        Watch(Path("model"), Growing(None), tmp_path / "run").run()


def _folder(tmp_path: Path, said: list[str]) -> Folder:
    drop = tmp_path / "drop"
    for name in ("a", "b"):
        (drop / name).mkdir(parents=True)
        (drop / name / "note.txt").write_text("x")
    (drop / "cohort.toml").write_text('[[source]]\nname = "a"\npath = "a"\n[[source]]\nname = "b"\npath = "b"\n')
    source = source_of(drop, tmp_path / "run", cohort=None, key=None, settle_s=10, say=said.append)
    assert isinstance(source, Folder)
    return source


def test_a_share_that_is_not_mounted_takes_no_evidence_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = Clock(), list[str]()
    source, ingested = _folder(tmp_path, said), list[Path]()
    source.files.clock = clock
    monkeypatch.setattr(watch_source, "ingest", lambda given, *_, **__: ingested.append(given))
    monkeypatch.setattr(watch_source, "content_of", lambda _: "content")
    source.refresh()
    clock.now = 10
    source.refresh()
    shutil.move(tmp_path / "drop" / "b" / "note.txt", tmp_path / "note.txt")
    for clock.now in (11.0, 21.0, 31.0, 41.0):
        assert source.refresh() is None
    assert len(ingested) == 1
    assert sum("source b are gone" in line for line in said) == 1
    shutil.move(tmp_path / "note.txt", tmp_path / "drop" / "b" / "note.txt")
    clock.now = 60
    source.refresh()
    assert len(ingested) == 1


def test_files_that_never_settle_are_told_of(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    source = _folder(tmp_path, said)
    source.files.clock = source.clock = clock
    for second in range(0, 1300, 5):
        clock.now = second
        (tmp_path / "drop" / "a" / "note.txt").write_text("x" * second)
        (tmp_path / "drop" / "cohort.toml").touch()
        assert source.refresh() is None
    assert sum("wait for 10 minutes" in line for line in said) == 2


@pytest.mark.parametrize("option", ["--out", "--cohort-out"])
def test_what_is_written_is_never_read_as_evidence(tmp_path: Path, option: str) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    out = drop / "run" if option == "--out" else tmp_path / "run"
    cohort = tmp_path / "cohort" if option == "--out" else drop / "cohort"
    with pytest.raises(UsageError, match="among the files") as told:
        source_of(drop, out, cohort=cohort, key=None, settle_s=1, say=lambda _: None)
    assert told.value.where == option


def test_a_cohort_folder_is_a_manifest_also_while_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "evidence.parquet").touch()
    source = source_of(tmp_path, tmp_path / "run", cohort=None, key=None, settle_s=1, say=lambda _: None)
    assert isinstance(source, Manifest)
    assert source.refresh() is None
    with pytest.raises(InputError, match="no such folder"):
        source_of(tmp_path / "gone", tmp_path / "run", cohort=None, key=None, settle_s=1, say=lambda _: None)
