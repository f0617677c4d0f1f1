"""Bombs, depths, ways out and devices: each refused with a code, in a second, in little memory, and nothing written."""

import shutil
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from clinic_mm.errors import EvidenceError
from tests.fuzz.bombs import BOMBS, PATIENT
from tests.fuzz.frames import frame_of
from tests.fuzz.gate import Gate, Verdict, apart, check
from tests.fuzz.ingested import outcomes
from tests.sources.eeg.edf_files import write_edf

SLOWEST_S: Final = 1.0
TRIES: Final = 3
"""The best counts, since other processes may share the cores."""


def run(n: int, seed: int) -> dict[str, Any]:
    """Ingest each bomb `n` times, after good files were read, which loads the readers; the seed is not used."""
    del seed
    gate = Gate()
    rows: dict[str, tuple[float, str]] = {}
    with TemporaryDirectory() as folder:
        _ingested(_good(Path(folder, "good")))
        shutil.rmtree(Path(folder, "good"))
        for _ in range(n):
            for name, write in BOMBS.items():
                place = Path(folder, "place")
                (place / "files").mkdir(parents=True)
                write(place / "files")
                for _ in range(TRIES):
                    gate.attempt(name, partial(_ingested, place))
                    rows[name] = min((gate.last_s, gate.last_code), rows.get(name, (99.0, "")))
                    if rows[name][0] < SLOWEST_S:
                        break
                shutil.rmtree(place)
        gate.raw += [f"written outside: {path.name}" for path in Path(folder).iterdir()]
    return {**gate.result(), "rows": rows}


def _good(place: Path) -> Path:
    files = place / "files"
    files.mkdir(parents=True)
    data, _ = frame_of("JPEG 2000 (OpenJPEG)")
    (files / "a.dcm").write_bytes(data)
    (files / "Patient.ndjson").write_bytes(PATIENT)
    (files / "note.txt").write_text("Nothing to see.")
    write_edf(files / "a.edf")
    return place


def _ingested(place: Path) -> Verdict:
    ended = outcomes(place / "files", place / "out")
    for one in ended:
        if one.code not in {"", "patient.unknown"}:
            raise EvidenceError(one.code, "refused")
    assert {path.name for path in place.iterdir()} <= {"files", "out", "outside.dcm"}, "written outside of the target"
    return ("flagged", min(flags)) if (flags := {flag for one in ended for flag in one.flags}) else ("quiet", "read")


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return apart("tests.fuzz.test_bombs", 1, 0)


def test_no_bomb_goes_off(result: dict[str, Any]) -> None:
    check(result, len(BOMBS))


@pytest.mark.parametrize("name", BOMBS)
def test_each_is_refused_in_under_a_second(result: dict[str, Any], name: str) -> None:
    seconds, code = result["rows"][name]
    assert code
    assert seconds < SLOWEST_S
