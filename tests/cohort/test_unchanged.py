"""A second ingest of the same files reads none of them, and any change is noticed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from clinic_mm.cohort import ingest as module
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import EVIDENCE_FILE, Cohort
from clinic_mm.cohort.unchanged import FILE
from clinic_mm.sources import contents
from tests.cohort.hospital import day, observation, patient, write_fhir

LABELS = "patient_id,decision_time,y\np1,2024-01-09T12:00:00Z,1\n"
SPEC = 'name = "small"\n[[source]]\npath = "files"\n[labels]\npath = "labels.csv"\n'
Change = Callable[[Path], object]


class ReadError(Exception):
    """A file was looked at."""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(contents, "SETTLED_NS", 0)
    write_fhir(tmp_path / "files" / "a.ndjson", [patient("p1"), observation("p1", day(1), 12.0, 1)])
    (tmp_path / "labels.csv").write_text(LABELS)
    (tmp_path / "cohort.toml").write_text(SPEC)
    _ingest(tmp_path)
    return tmp_path


def _ingest(base: Path, *, key: str = "key", verify: bool = False) -> Cohort:
    return ingest(base, base / "cohort", key=base / key, verify=verify)


def _bytes(base: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((base / "cohort").iterdir())}


def _no_reading(*_: object) -> None:
    raise ReadError


def test_a_second_ingest_reads_nothing_and_gives_the_same_bytes(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _bytes(base)
    assert b"p1" not in before[FILE]
    assert _ingest(base, verify=True).info.counts["record_rows"] == 3
    assert _bytes(base) == before  # read again, it is the same
    monkeypatch.setattr(module, "gather", _no_reading)
    assert _ingest(base).info.counts["record_rows"] == 3
    assert _bytes(base) == before
    with pytest.raises(ReadError):
        _ingest(base, verify=True)


def _same_size_and_time(base: Path) -> None:
    path = base / "files" / "a.ndjson"
    stat = path.stat()
    path.write_bytes(path.read_bytes().replace(b"12.0", b"13.0"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _flip(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])


@pytest.mark.parametrize(
    "change",
    [
        _same_size_and_time,
        lambda base: (base / "files" / "new.txt").write_text("A note."),
        lambda base: (base / "files" / "a.ndjson").rename(base / "files" / "b.ndjson"),
        lambda base: (base / "files" / "link").symlink_to("/nowhere"),
        lambda base: (base / "labels.csv").write_text(LABELS.replace(",1\n", ",0\n")),
        lambda base: (base / "cohort.toml").write_text(SPEC.replace("small", "other")),
        lambda base: _flip(base / "cohort" / EVIDENCE_FILE),
        lambda base: (base / "cohort" / FILE).write_text("{}"),
    ],
)
def test_what_changed_is_read_again(base: Path, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    change(base)
    monkeypatch.setattr(module, "gather", _no_reading)
    with pytest.raises(ReadError):
        _ingest(base)


def test_another_key_gives_other_pseudonyms(base: Path) -> None:
    before = _bytes(base)[EVIDENCE_FILE]
    _ingest(base, key="other")
    assert _bytes(base)[EVIDENCE_FILE] != before


def test_files_written_a_moment_ago_are_not_taken_for_settled(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "SETTLED_NS", 3_600 * 10**9)
    _ingest(base, verify=True)
    assert not (base / "cohort" / FILE).exists()
