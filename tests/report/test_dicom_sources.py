"""The way back to real images: what a report takes over of them is valid, and says no more than that."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from clinic_mm.errors import InputError
from clinic_mm.report.dicom_sources import referable, source_headers, whose
from clinic_mm.report.dicom_sr import sr_bytes, sr_report
from clinic_mm.report.setting import Setting, Whose
from clinic_mm.types import CaseRecord, Evidence
from tests.report.predictions import made_up
from tests.report.test_dicom_sr import errors_in, needs_checker

FAKE_UID = "CR-ModalitySequenceLUT.dcm"
"""Its own UID has a root that does not exist."""


def headers_of(root: Path, *paths: Path) -> list[Dataset]:
    found = Evidence(modality="xray", root="data", paths=tuple(path.relative_to(root).as_posix() for path in paths))
    case = CaseRecord(case_key="c1", patient_key="p1", decision_time=None, evidence={"xray": (found,)})
    return source_headers(case, [("xray", "xray")], {"data": root})


@needs_checker
@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", ["xray_dicom", "ct/nsclc_LUNG1-001/image", "ct/head_ge_hispeed", "ct/totalseg_biograph"]
)
def test_a_report_on_real_images_is_valid_however_odd_their_headers(name: str, data: Path, tmp_path: Path) -> None:
    files = [path for path in sorted((data / name).rglob("*.dcm")) if path.name != FAKE_UID]
    groups = [[path] for path in files] if name == "xray_dicom" else [files]
    for group in groups[:5]:
        headers = headers_of(data, *group)
        document = sr_report(
            made_up(), Setting(datetime(2026, 3, 2, tzinfo=UTC), "m", "1", whose=_anybody(headers)), headers
        )
        (tmp_path / "report.dcm").write_bytes(sr_bytes(document))
        assert errors_in(tmp_path / "report.dcm") == []
        listed = document.get("CurrentRequestedProcedureEvidenceSequence", [])
        assert bool(listed) == any(map(referable, headers))
        assert "PatientAge" not in document


@pytest.mark.realdata
def test_images_of_several_patients_are_nobodys(data: Path) -> None:
    several = sorted((data / "ct" / "covid_sbu").rglob("*.dcm"))
    with pytest.raises(InputError, match="several patients") as caught:
        whose(headers_of(data, *several))
    assert not any(str(header.PatientID) in str(caught.value) for header in headers_of(data, *several))


def test_what_does_not_fit_its_form_is_left_empty(tmp_path: Path) -> None:
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    source.StudyInstanceUID, source.SeriesInstanceUID, source.Modality = "1.2.4", "1.2.5", "CT"
    source.PatientID, source.PatientName, source.PatientIdentityRemoved = "A1", "Ana", "YES"
    source.add_new("PatientBirthDate", "LO", "about 1950")
    source.add_new("PatientSex", "LO", "female")
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    source.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    (header,) = headers_of(tmp_path, tmp_path / "one.dcm")
    assert (header.PatientBirthDate, header.PatientSex) == ("", "")
    assert whose([header]) == Whose(name="Ana^", patient_id="A1")
    assert header.DeidentificationMethod == "Not stated by the source"
    assert referable(header)


def _anybody(headers: list[Dataset]) -> Whose:
    try:
        return whose(headers)
    except InputError:
        return Whose(name="", patient_id="")
