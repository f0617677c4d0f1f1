"""The commands from files to a marked draft, and no way back."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.drafting.folder import load_drafter, save_drafter
from clinic_mm.predict.sealed import MANIFEST
from clinic_mm.report.draft import draft_as_fhir, draft_as_text
from clinic_mm.report.fhir_valid import check_bundle
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.sources.record.drafts import CODE, MARK, TAG_SYSTEM
from tests.cli.terminal import run
from tests.conftest import Trained
from tests.drafting.made import made_draft
from tests.made import DECISION

Screen = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A SIMULATED cohort of records and notes, in files."""
    root = tmp_path_factory.mktemp("drafts")
    write_cohort(root / "sim", cases=120, seed=4, rate=0.1, modalities=("record", "note"))
    with (root / "sim" / "task.toml").open("a", encoding="utf-8") as file:
        file.write("[train]\nepochs = 2\n")
    ingest(root / "sim", root / "cohort", key=root / "key")
    return root


def test_learn_write_and_evaluate(made: Path, capsys: Screen) -> None:
    task, cohort, drafter = made / "sim" / "task.toml", made / "cohort", made / "drafter"
    said = run(
        capsys, "draft", "learn", cohort, "--task", task, "--out", drafter, "--test-share", "0.3", "--workers", "1"
    )
    assert (said.code, "PATIENT-DERIVED" in said.out) == (0, True)
    manifest = orjson.loads((drafter / MANIFEST).read_bytes())
    assert manifest["patient_derived"] == ["bank.json", "bank.safetensors"]

    case = next(one for one in open_cohort(cohort).cases("label") if one.pattern == ("note", "record"))
    said = run(
        capsys, "draft", "write", drafter, "--cohort", cohort, "--case", case.case_key, "--out", made / "d", "--json"
    )
    assert isinstance(said.json, list)
    assert [one["method"] for one in said.json] == ["decoder", "retrieval", "most_frequent"]
    assert all(one["evidence"] is False for one in said.json)
    assert said.json[1]["rests_on"] == ["record"]
    assert len(said.json[1]["support"]) == 5
    assert any("SIMULATED" in notice for notice in said.json[1]["notices"])
    again = run(capsys, "draft", "write", drafter, "--cohort", cohort, "--case", case.case_key, "--json")
    assert again.json == said.json

    loaded, first = load_drafter(drafter)
    assert save_drafter(loaded, made / "again") == first

    said = run(capsys, "draft", "evaluate", drafter, cohort, "--out", made / "figures", "--workers", "1")
    assert (said.code, "over drafts of others" in said.out) == (0, True)
    assert sorted(path.name for path in (made / "figures").iterdir()) == ["evaluation.json", "text_metrics.csv"]

    for name in manifest["patient_derived"]:
        (drafter / name).unlink()
    words = ("draft", "write", drafter, "--cohort", cohort, "--case", case.case_key)
    assert run(capsys, *words, "--method", "decoder").code == 0
    assert run(capsys, *words).code == 6


def test_a_drafter_is_no_model_and_a_model_no_drafter(trained: Trained, made: Path, capsys: Screen) -> None:
    assert run(capsys, "draft", "write", trained.model, "--xray", "x.png").code == 6
    assert run(capsys, "draft", "learn", trained.cohort, "--task", trained.task, "--out", made / "no").code == 4
    assert run(capsys, "draft", "write", made / "drafter").code == 2


@pytest.mark.parametrize("form", ["txt", "json"])
def test_predict_refuses_a_draft_as_a_note(trained: Trained, tmp_path: Path, capsys: Screen, form: str) -> None:
    path = tmp_path / f"note.{form}"
    resource = draft_as_fhir(made_draft(), created=DECISION)
    resource["subject"] = {"reference": "Patient/p1"}
    path.write_bytes(draft_as_text(made_draft()).encode() if form == "txt" else orjson.dumps(resource))
    said = run(capsys, "predict", trained.model, "--note", path)
    assert said.code == 3
    assert CODE in said.err
    xray = next(path for path in sorted((trained.files / "dicom").rglob("*")) if path.is_file())
    both = run(capsys, "predict", trained.model, "--note", path, "--xray", xray, "--json")
    assert isinstance(both.json, dict)
    assert [one["code"] for one in both.json["missing"] if one["modality"] == "note"] == [CODE]


def test_a_draft_in_fhir_is_preliminary_tagged_and_valid() -> None:
    resource = draft_as_fhir(made_draft(), created=DECISION)
    check_bundle(
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}],
        }
    )
    assert resource["docStatus"] == "preliminary"
    assert resource["meta"]["tag"][0]["system"] == TAG_SYSTEM
    lines = draft_as_text(made_draft()).splitlines()
    assert lines[0] == lines[-1] == MARK
    assert "NOT EVIDENCE" in lines[1]
