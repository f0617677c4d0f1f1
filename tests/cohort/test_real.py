"""Real files of every kind go through ingest; what is refused says why, and no pixel is copied."""

from pathlib import Path

import pytest

from clinic_mm.cohort.describe import as_text, describe
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import REJECTED_FILE, read_rejected

pytestmark = pytest.mark.realdata


def test_real_folders_become_a_cohort(data: Path, tmp_path: Path) -> None:
    sources = [
        ("ct", data / "ct", "header"),
        ("xray", data / "xray_dicom", "header"),
        ("eeg", data / "eeg/formats", "folder"),
        ("fhir", data / "fhir/synthea_r4", "header"),
    ]
    blocks = [f'[[source]]\nname = "{n}"\npath = "{p}"\npatient = "{w}"\n' for n, p, w in sources]
    (tmp_path / "cohort.toml").write_text("\n".join(blocks), encoding="utf-8")
    cohort = ingest(tmp_path / "cohort.toml", tmp_path / "out", key=tmp_path / "key")
    told = describe(cohort)
    present = {m.modality: m.present for m in told.modalities}
    assert present["ct"] >= 2
    assert present["record"] >= 38
    assert present["eeg"] >= 5
    assert present["xray"] >= 1
    assert cohort.info.counts["failed"] == 0
    rejected = read_rejected(cohort.path / REJECTED_FILE)
    assert (rejected["why"] != "").all()
    assert "ct.not_hu" in set(rejected["code"])
    assert "ct.too_few_slices" in as_text(told)
    source_bytes = sum(p.stat().st_size for _, folder, _ in sources for p in folder.rglob("*") if p.is_file())
    assert sum(p.stat().st_size for p in cohort.path.iterdir()) < source_bytes / 50


HANNOVER = """
[[source]]
name = "images"
path = "{data}/data.csv"
[source.mapping]
layout = "files"
patient = "patient_id"
time = {{ origin = 2000-01-01T00:00:00Z, offset_days = ["-admission_offset"] }}
path = "images/{{image_id}}.jpg"
modality = "xray"
meta = ["projection"]
[[source]]
name = "labs"
path = "{data}/data.csv"
[source.mapping]
layout = "wide"
patient = "patient_id"
time = {{ origin = 2000-01-01T00:00:00Z, offset_days = ["-admission_offset", "crp_offset"] }}
columns.crp_val = {{ code = "loinc:1988-5", unit = "mg/L" }}
[labels]
path = "{data}/patients.csv"
origin = 2000-01-01T00:00:00Z
offset = "first_image_day"
offset_unit = "d"
columns = ["icu_ever", "first_view"]
"""


def test_one_table_may_list_files_and_hold_facts(data: Path, tmp_path: Path) -> None:
    spec = HANNOVER.format(data=data / "multimodal/chest_hannover")
    (tmp_path / "cohort.toml").write_text(spec, encoding="utf-8")
    cohort = ingest(tmp_path, tmp_path / "out", key=tmp_path / "key")
    cases = cohort.cases("icu_ever")
    assert len(cases) == 47
    assert all("xray" in case.pattern for case in cases)
    images = [e for case in cases for e in case.usable("xray")]
    assert all(e.acquired_at == case.decision_time for case in cases for e in case.usable("xray"))
    assert {e.meta["projection"] for e in images} == {"ap", "pa"}
    assert {case.covariates["first_view"] for case in cases} == {"ap", "pa"}
