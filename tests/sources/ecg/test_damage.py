"""Damaged files are read, or refused with a code: nothing else ever comes out of a reader."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ecg import recording as ecg
from clinic_mm.sources.eye import recording as eye
from tests.sources.ecg.made import heart, write_dicom, write_edf, write_table, write_wfdb
from tests.sources.eye.test_eye import frame, written

MADE: dict[str, tuple[Callable[[Path], Path], Callable[..., Any]]] = {
    "a.dcm": (lambda path: write_dicom(path, heart(6)), ecg.load),
    "a.edf": (lambda path: write_edf(path, heart(6)), ecg.load),
    "a.hea": (lambda path: write_wfdb(path, heart(6), 212), ecg.load),
    "a.csv": (lambda path: write_table(path, heart(6)), ecg.load),
    "gaze.csv": (lambda path: written(frame(6), path), eye.load),
}
HEAD, TIMES = 4096, 25
FILLERS = np.frombuffer(b"0123456789-+.eE/x(),\0\xff", np.uint8)


@pytest.mark.parametrize("name", MADE)
def test_a_damaged_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    write, load = MADE[name]
    whole = write(tmp_path / name).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(TIMES):
        hurt = bytearray(whole)
        for _ in range(rng.integers(1, 5)):
            at = int(rng.integers(0, min(len(hurt), HEAD)))
            if rng.random() < 0.3:
                del hurt[at : at + int(rng.integers(1, 20))]
            else:
                hurt[at] = int(rng.choice(FILLERS))
        (tmp_path / name).write_bytes(bytes(hurt))
        with suppress(EvidenceError):
            load([tmp_path / name, *tmp_path.glob("*.dat")])
