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
    assert "ct.tilt" in set(rejected["code"])
    assert "ct.tilt" in as_text(told)
    source_bytes = sum(p.stat().st_size for _, folder, _ in sources for p in folder.rglob("*") if p.is_file())
    assert sum(p.stat().st_size for p in cohort.path.iterdir()) < source_bytes / 50
