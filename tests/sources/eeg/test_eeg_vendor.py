"""Vendors' files are read in a process of their own: a crash, a hang or a hunger for memory costs one recording."""

import json
import os
import signal
import time
from datetime import UTC
from pathlib import Path

import mne
import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.eeg import recording as eeg
from clinic_mm.sources.eeg import vendor as eeg_vendor
from clinic_mm.sources.eeg.opening import open_recording
from clinic_mm.sources.walk import FileKind, sniff
from clinic_mm.types import Rejected
from tests.sources.eeg.edf_files import patch

REAL = {
    "brainvision/test.vhdr": mne.io.read_raw_brainvision,
    "eeglab/eeglab_data.set": mne.io.read_raw_eeglab,
    "fif/test_bin_raw.fif": mne.io.read_raw_fif,
    "nihonkohden/MB0400FU.EEG": mne.io.read_raw_nihon,
}


def code_of(path: Path) -> str:
    with pytest.raises(EvidenceError) as caught:
        eeg.load([path])
    return caught.value.code


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_what_the_worker_hands_over_is_what_mne_reads(data: Path, name: str) -> None:
    path = data / "eeg/formats" / name
    opened = open_recording(path)
    raw = REAL[name](path, verbose="ERROR")
    rows = [raw.ch_names.index(label) for label in np.array(raw.ch_names)[list(opened.pages.rows)]]  # type: ignore[attr-defined]
    theirs = raw.get_data(picks=rows)
    np.testing.assert_allclose(np.asarray(opened.pages), theirs, rtol=1e-6)
    np.testing.assert_array_equal(opened.pages[[1, 0], 100:200], np.asarray(opened.pages)[[1, 0], 100:200])


@pytest.mark.realdata
def test_a_reader_that_dies_half_way_costs_one_recording(data: Path) -> None:
    path = data / "eeg/formats/eeglab/eeglab_data.set"
    pages = open_recording(path).pages
    worker = eeg_vendor._running()
    os.kill(worker.pid, signal.SIGSEGV)
    worker.wait()
    assert pages[:, 0:10].shape == (30, 10)  # a new one was started
    os.kill(eeg_vendor._running().pid, signal.SIGSTOP)  # neither dead nor answering: ended from here
    eeg_vendor.close()
    assert pages[:, 0:10].shape == (30, 10)


@pytest.mark.realdata
def test_damaged_vendor_files_are_refused_in_time(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eeg_vendor, "SECONDS", 1.5)
    eeg_vendor.close()
    rng, took, codes = np.random.default_rng(0), [], set()
    for name in ("fif/test_bin_raw.fif", "nihonkohden/MB0400FU.EEG", "eeglab/eeglab_data.set"):
        whole = (data / "eeg/formats" / name).read_bytes()
        for number in range(6):
            path = tmp_path / f"{number}{Path(name).name}"
            path.write_bytes(whole[: len(whole) // 2] if number == 0 else whole)
            for _ in range(8):
                patch(path, int(rng.integers(20, min(5000, len(whole)))), rng.bytes(1))
            began = time.monotonic()
            try:
                eeg.load([path])
            except EvidenceError as error:
                codes.add(error.code)
            took.append(time.monotonic() - began)
    eeg_vendor.close()
    assert "eeg.unreadable" in codes
    assert all(code.startswith("eeg.") for code in codes)
    assert max(took) < 10


def test_a_neuroscan_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.cnt"
    path.write_bytes(b"Version 3.0\0" + bytes(900))
    assert sniff(path) is FileKind.EEG
    assert code_of(path) == "eeg.neuroscan"
    (found,) = eeg.find_eeg(tmp_path, "r", [path], UTC)
    assert isinstance(found.finding, Rejected)
    assert "Neuroscan" in found.finding.why


@pytest.mark.realdata
def test_stretches_that_a_format_glued_together_are_parted_again(data: Path, tmp_path: Path) -> None:
    for name in ("test.vhdr", "test.eeg", "test.vmrk"):
        (tmp_path / name).write_bytes((data / "eeg/formats/brainvision" / name).read_bytes())
    marks = tmp_path / "test.vmrk"
    marks.write_text(marks.read_text(encoding="utf-8") + "\nMk99=New Segment,,4001,1,0\n", encoding="utf-8")
    signal = eeg.load([tmp_path / "test.vhdr"])
    assert signal.gaps == ((4.0, 0.0),)
    assert signal.segments == ((0, 4000), (4000, 7900))


def test_the_worker_names_no_patient(tmp_path: Path) -> None:
    """Beside the code, which stays in the cohort, nothing that MNE knows of a subject is handed over."""
    info = mne.create_info(["Cz", "Pz"], 100.0, "eeg")
    info["subject_info"] = {"his_id": "p7", "last_name": "Doe", "first_name": "Jane"}
    path = tmp_path / "a_raw.fif"
    mne.io.RawArray(1e-5 * np.random.default_rng(0).standard_normal((2, 400)), info, verbose="ERROR").save(
        path, verbose="ERROR"
    )
    told = eeg_vendor.describe("fif", path)
    assert told["patient"] == "p7"
    assert not {"Doe", "Jane"} & set(json.dumps(told).replace('"', " ").split())
