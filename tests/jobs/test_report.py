"""The command that writes reports: every format, one case and all, with and without the patient's name."""

from io import BytesIO
from pathlib import Path

import orjson
import pytest
from pydicom import dcmread
from pypdf import PdfReader

from clinic_mm.cohort.ingest import ingest
from clinic_mm.evaluate.monitor.state import write_state
from clinic_mm.jobs.report import reports_of, write_all
from clinic_mm.predict.prediction import MissingEvidence
from clinic_mm.report.dicom_sources import source_headers, whose
from clinic_mm.report.render import SUFFIXES
from clinic_mm.report.run import Counts, ModelOf, RunInfo, write_run, write_shard
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.types import CaseRecord
from tests.cli.terminal import run
from tests.dashboards.test_monitor import state_of, stop
from tests.report.predictions import ALL, made_up
from tests.report.silent import SHARES, leaked

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[CaseRecord]]:
    """A run over real (simulated) DICOM files."""
    base = tmp_path_factory.mktemp("reported")
    write_cohort(base / "files", cases=3, seed=5, modalities=("xray", "record"))
    found = list(ingest(base / "files", base / "cohort", key=base / "key").cases())
    write_shard([_answered(case) for case in found], base / "run" / "shards" / "part-00000.parquet")
    info = RunInfo(
        run_id="r1",
        model=ModelOf(path="model", hash="a" * 64, name="demo", version="0.1.0"),
        cohort="../cohort",
        target="disease",
        classes=("negative", "positive"),
        modalities={name: name for name in ("xray", "record")},
        counts=Counts(done=3),
        simulated=True,
    )
    write_run(info, base / "run")
    return base / "run", found


def _answered(case: CaseRecord):  # noqa: ANN202 - a Prediction
    missing = tuple(MissingEvidence(modality=name, status="absent") for name in ALL if name not in case.pattern)
    made = made_up(case.case_key, {name: SHARES[name] for name in case.pattern}, missing)
    return made.model_copy(update={"decision_time": case.decision_time, "patient_key": case.patient_key})


def _with_xray(cases: list[CaseRecord]) -> CaseRecord:
    return next(case for case in cases if case.usable("xray"))


@pytest.mark.parametrize("spelling", SUFFIXES)
def test_every_format_is_written_and_says_the_hash(
    spelling: str, cases: tuple[Path, list[CaseRecord]], tmp_path: Path, capsys: Capture
) -> None:
    folder, found = cases
    key = found[0].case_key
    out = tmp_path / f"one{SUFFIXES[spelling]}"
    said = run(capsys, "report", folder, key, "--format", spelling, "--out", out)
    assert said.code == 0
    content = out.read_bytes()
    hashed = _answered(found[0]).content_hash
    if spelling == "pdf":
        assert hashed in PdfReader(BytesIO(content)).pages[0].extract_text()
    elif spelling == "sr":
        assert hashed in str(dcmread(BytesIO(content)).to_json())
    else:
        assert hashed.encode() in content
    assert b"SIMULATED" in content or spelling == "pdf"


def test_what_is_no_text_needs_a_place_and_an_unknown_format_is_named(
    cases: tuple[Path, list[CaseRecord]], tmp_path: Path, capsys: Capture
) -> None:
    folder, found = cases
    key = found[0].case_key
    assert run(capsys, "report", folder, key, "--format", "pdf").code == 2
    assert run(capsys, "report", folder).code == 2
    assert run(capsys, "report", folder, key, "--format", "html", "--json").code == 2
    odd = run(capsys, "report", folder, key, "--format", "docx")
    assert odd.code == 2
    assert "fhir" in odd.err
    (tmp_path / "file").touch()
    assert run(capsys, "report", folder, "--format", "pdf", "--out", tmp_path / "file").code == 2
    assert orjson.loads(run(capsys, "report", folder, key, "--format", "fhir").out)["resourceType"] == "Bundle"


def test_all_cases_go_into_one_folder_hidden_ones_as_hidden(
    cases: tuple[Path, list[CaseRecord]], tmp_path: Path
) -> None:
    folder, found = cases
    steps: list[int] = []
    paths = write_all(reports_of(folder, "text"), tmp_path / "out", lambda done, _: steps.append(done))
    assert {path.stem for path in paths} == {case.case_key for case in found}
    assert steps == [1, 2, 3]
    write_state(state_of(stop("modality", "xray")), folder)
    try:
        hidden = reports_of(folder, "fhir").of_case(_with_xray(found).case_key).decode()
    finally:
        (folder / "monitor.json").unlink()
    assert "hidden by monitoring" in hidden
    assert leaked(_answered(_with_xray(found)), hidden) == []


def test_no_identifier_of_the_source_is_in_a_report_unless_asked_for(cases: tuple[Path, list[CaseRecord]]) -> None:
    folder, found = cases
    case = _with_xray(found)
    roots = reports_of(folder, "sr", identified=True)._cohort.roots
    headers = source_headers(case, [("xray", "xray")], roots)
    named = whose(headers)
    secrets = [named.patient_id, headers[0].StudyInstanceUID, headers[0].SOPInstanceUID]
    assert all(secrets)
    for spelling in SUFFIXES:
        plain = reports_of(folder, spelling).of_case(case.case_key)
        assert not any(secret.encode() in plain for secret in secrets)
        told = reports_of(folder, spelling, identified=True).of_case(case.case_key)
        if spelling == "pdf":
            told = PdfReader(BytesIO(told)).pages[0].extract_text().encode()
        assert named.patient_id.encode() in told, spelling
    document = dcmread(BytesIO(reports_of(folder, "sr", identified=True).of_case(case.case_key)))
    assert document.StudyInstanceUID == headers[0].StudyInstanceUID
    (study,) = document.CurrentRequestedProcedureEvidenceSequence
    listed = {
        one.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert listed == {header.SOPInstanceUID for header in headers}
    assert "PatientIdentityRemoved" not in document


def test_a_case_without_images_names_nobody(cases: tuple[Path, list[CaseRecord]], capsys: Capture) -> None:
    folder, found = cases
    bare = [case.case_key for case in found if not case.usable("xray")]
    if not bare:
        pytest.skip("every case of this draw has an X-ray")
    said = run(capsys, "report", folder, bare[0], "--identified")
    assert said.code == 3
    assert "who the patient is" in said.err
