"""A recording is looked through once however many ask; what is kept and damaged is made anew, what changed refused."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import EegRecording
from clinic_mm.sources.eeg.channels import channel_table
from clinic_mm.sources.place import content_hash
from clinic_mm.types import Evidence
from clinic_mm.viewing import eeg_study
from clinic_mm.viewing.cache import ViewCache
from clinic_mm.viewing.eeg_study import EegStudies
from clinic_mm.viewing.eeg_survey import Survey, survey
from tests.sources.eeg.edf_files import write_edf


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_edf(tmp_path / "a.edf", seconds=30)


def evidence(file: Path) -> Evidence:
    return Evidence(modality="eeg", root="r", paths=(file.name,), content_hash=content_hash([file]))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[EegRecording]:
    seen: list[EegRecording] = []

    def counting(recording: EegRecording) -> Survey:
        seen.append(recording)
        return survey(recording)

    monkeypatch.setattr(eeg_study, "survey", counting)
    return seen


@pytest.fixture
def opened(file: Path, tmp_path: Path) -> Callable[[], EegStudies]:
    return lambda: EegStudies(ViewCache(tmp_path / "views", 10**8))


def test_one_pass_for_many_who_ask_and_none_for_the_next_process(
    file: Path, opened: Callable[[], EegStudies], counted: list[EegRecording]
) -> None:
    said, roots = evidence(file), {"r": file.parent}
    studies = opened()
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: studies.opened(said, roots).survey(), range(12)))
    assert len(counted) == 1
    assert all(one is found[0] for one in found)
    again = opened().opened(said, roots).survey()
    assert len(counted) == 1
    np.testing.assert_array_equal(again.spectrogram.db, found[0].spectrogram.db)
    assert again.quality == found[0].quality


def test_what_is_kept_and_damaged_is_made_anew(
    file: Path, opened: Callable[[], EegStudies], counted: list[EegRecording], tmp_path: Path
) -> None:
    said, roots = evidence(file), {"r": file.parent}
    opened().opened(said, roots).survey()
    (kept,) = (tmp_path / "views").glob("*/*.view")
    whole = bytearray(kept.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    kept.write_bytes(whole)
    assert opened().opened(said, roots).quality is not None
    assert len(counted) == 2


def test_files_that_are_not_what_ingest_read_are_refused(file: Path, opened: Callable[[], EegStudies]) -> None:
    said, roots = evidence(file), {"r": file.parent}
    write_edf(file, seconds=30, scale=40.0)
    with pytest.raises(EvidenceError, match="no longer what ingest read"):
        opened().opened(said, roots).survey()


def test_a_file_that_changes_while_it_is_open_is_opened_anew(file: Path, opened: Callable[[], EegStudies]) -> None:
    said, roots = evidence(file), {"r": file.parent}
    studies = opened()
    first = studies.opened(said, roots)
    assert studies.opened(said, roots) is first
    os.utime(file, ns=(1, 1))
    assert studies.opened(said, roots) is not first
    with pytest.raises(EvidenceError, match="changed"):
        first.recording.volts[:, :10]


def test_a_long_recording_shows_pages_before_anyone_looked_through_it(
    file: Path, opened: Callable[[], EegStudies], counted: list[EegRecording]
) -> None:
    object.__setattr__(channel_table(), "values_held", 100)
    try:
        study = opened().opened(evidence(file), {"r": file.parent})
        assert study.quality is None
        assert not counted
        study.survey()
        assert study.quality is not None
    finally:
        channel_table.cache_clear()
