"""A manifest without files is what ingest would have written, says that it is simulated, and can be read by nobody."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clinic_mm.cohort.blocks import BATCH_ROWS
from clinic_mm.cohort.describe import describe
from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.manifest import EVIDENCE_FILE, LABELS_FILE, Cohort, open_cohort, read_rejected
from clinic_mm.cohort.stream import stream_cases
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import EvidenceError, UsageError
from clinic_mm.simulate import without_files
from clinic_mm.simulate.without_files import write_without_files
from clinic_mm.task import read_task
from clinic_mm.types import Evidence, Rejected

CASES = 3000


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    out = tmp_path_factory.mktemp("without") / "cohort"
    write_without_files(out, cases=CASES, seed=5)
    return open_cohort(out)


def test_it_says_so(cohort: Cohort) -> None:
    told = describe(cohort, "label")
    assert (told.simulated, told.name, told.cases) == (True, "simulated without files", CASES)
    assert not cohort.damaged()
    assert abs(told.labels["1"] / CASES - 0.3) < 0.04
    present = {counts.modality: counts.present for counts in told.modalities}
    assert all(abs(present[m] / CASES - 0.7) < 0.04 for m in ("ct", "xray", "eeg", "record", "note"))
    assert {refused.code for refused in told.refused} == {"ct.missing_slices", "time.after_decision"}
    assert len(read_rejected(cohort.path / "rejected.csv")) == cohort.info.counts["rejected"] > 0


def test_columns_say_what_the_findings_say(cohort: Cohort) -> None:
    frame = cohort.evidence
    for line, case in zip(frame.itertuples(), frame["finding"], strict=True):
        one = (Evidence if line.status == "present" else Rejected).model_validate_json(case)
        assert (one.modality, one.root, getattr(one, "code", "")) == (line.modality, line.root, line.code)
        assert one.acquired_at == (None if pd.isna(line.acquired_at) else line.acquired_at.to_pydatetime())
    order = ["patient_key", "modality", "acquired_at"]
    pd.testing.assert_frame_equal(frame[order], frame[order].sort_values(order, ignore_index=True))


def test_nothing_of_it_can_be_read(cohort: Cohort) -> None:
    task = read_task(cohort.path / "task.toml")
    tried = set()
    for case in stream_cases(cohort, task):
        for kind in case.pattern:
            with pytest.raises(EvidenceError, match="never made") as told:
                load_evidence(case.usable(kind)[0], cohort.roots)
            assert (told.value.code, told.value.mend[:32]) == ("file.gone", "This cohort was simulated withou")
            tried.add(kind)
        if len(tried) == len(task.modalities):
            return
    pytest.fail(f"only {tried} was there to be tried")


def test_streaming_over_many_pieces_gives_the_cases_of_the_task(cohort: Cohort) -> None:
    task = read_task(cohort.path / "task.toml")
    assert len(cohort.evidence) > BATCH_ROWS
    cases = sorted(task_cases(cohort, task), key=lambda case: case.patient_key)
    assert list(stream_cases(cohort, task)) == cases


def test_the_same_seed_gives_the_same_bytes_and_a_larger_cohort_the_same_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(without_files, "SPAN", 50)
    one, two = (write_without_files(tmp_path / name, cases=120, seed=2, missing="MAR") for name in ("one", "two"))
    assert one.files == two.files
    write_without_files(tmp_path / "more", cases=170, seed=2, missing="MAR")
    few, more = (pd.read_parquet(tmp_path / name / LABELS_FILE) for name in ("one", "more"))
    pd.testing.assert_frame_equal(few, more.iloc[:120])
    few, more = (pd.read_parquet(tmp_path / name / EVIDENCE_FILE) for name in ("one", "more"))
    mine = more[more["patient_key"].isin(few["patient_key"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, mine)
    assert np.all(few["patient_key"].to_numpy()[1:] >= few["patient_key"].to_numpy()[:-1])


def test_what_has_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no eye"):
        write_without_files(tmp_path / "out", cases=3, seed=0, modalities=("ct", "eye"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="not empty"):
        write_without_files(tmp_path / "full", cases=3, seed=0)
