"""Recordings: the same samples, onsets and channels; nobody's name."""

from datetime import date, time
from pathlib import Path

import edfio
import numpy as np
import pytest

from clinic_mm.deid.edf import clean_tals, deidentify_edf
from clinic_mm.deid.keyring import Keyring
from clinic_mm.deid.policy import Policy
from clinic_mm.sources.eeg.edf_header import read_edf_header
from tests.sources.eeg.edf_files import patch, write_edf


def test_samples_onsets_and_channels_stay_and_the_name_goes(tmp_path: Path, policy: Policy, ring: Keyring) -> None:
    who = edfio.Patient(code="case_7", sex="F", name="Jane_Doe", birthdate=date(1970, 1, 1))
    path = write_edf(
        tmp_path / "a.edf", ("Fp1", "EEG T3-Ref", "JaneDoe"), patient=who, start=(date(2021, 3, 4), time(9, 30))
    )
    made = deidentify_edf(path, policy, ring)
    for word in (b"Jane", b"Doe", b"case_7", b"1970", b"2021"):
        assert word not in made.content
    (tmp_path / "b.edf").write_bytes(made.content)
    old, new = edfio.read_edf(path), edfio.read_edf(tmp_path / "b.edf")
    assert new.patient.code == ring.patient("case_7")
    assert new.labels == ("Fp1", "EEG T3-Ref", "CH 3")
    assert all(np.array_equal(a.digital, b.digital) for a, b in zip(old.signals, new.signals, strict=True))
    assert [(a.onset, a.text) for a in new.annotations] == [(1.5, "spike")]
    assert new.startdate == date(2021, 3, 4) + ring.shift("case_7")
    assert read_edf_header(tmp_path / "b.edf").start is not None


def test_twice_is_once(tmp_path: Path, policy: Policy, ring: Keyring) -> None:
    once = deidentify_edf(write_edf(tmp_path / "a.edf"), policy, ring)
    (tmp_path / "b.edf").write_bytes(once.content)
    twice = deidentify_edf(tmp_path / "b.edf", policy, ring)
    assert (twice.content, twice.sealed, twice.patients) == (once.content, True, once.patients)


def test_two_recordings_without_a_patient_are_two_patients(tmp_path: Path, policy: Policy, ring: Keyring) -> None:
    a, b = (write_edf(tmp_path / f"{n}.edf", scale=n, patient=edfio.Patient(code="X")) for n in (10, 20))
    assert deidentify_edf(a, policy, ring).patients != deidentify_edf(b, policy, ring).patients


@pytest.mark.parametrize(("at", "text"), [(8, b"Jane Doe 7 Elm Street"), (88, b"Dr Doe, room 7"), (192, b"Doe")])
def test_plain_text_fields_go(tmp_path: Path, policy: Policy, ring: Keyring, at: int, text: bytes) -> None:
    width = {8: 80, 88: 80, 192: 44}[at]
    path = patch(write_edf(tmp_path / "a.edf"), at, text.ljust(width))
    assert b"Doe" not in deidentify_edf(path, policy, ring).content


def test_an_annotation_keeps_onset_duration_and_clinical_words() -> None:
    block = b"+0\x14\x14\0+12.5\x153\x14Seizure onset, Dr Doe\x14eyes closed\x14\0+9\x14Jane\x14\0Doe".ljust(99, b"\0")
    kept = clean_tals(block)
    assert len(kept) == len(block)
    assert kept.rstrip(b"\0") == b"+0\x14\x14\0+12.5\x153\x14Seizure onset\x14eyes closed\x14\0+9\x14X\x14"


@pytest.mark.realdata
def test_real_recordings_keep_their_samples(data: Path, tmp_path: Path, policy: Policy, ring: Keyring) -> None:
    import mne

    for path in sorted((data / "eeg/formats").rglob("*.[eb]df")):
        made = deidentify_edf(path, policy, ring)
        assert len(made.content) == path.stat().st_size
        new = tmp_path / f"new{made.suffix}"
        new.write_bytes(made.content)
        read = {".edf": mne.io.read_raw_edf, ".bdf": mne.io.read_raw_bdf}[made.suffix]
        a, b = (read(one, preload=True, verbose="ERROR") for one in (path, new))
        assert np.array_equal(a.get_data(), b.get_data())
