"""The whole path, as a user walks it: files, ingest, train, evaluate, screen, report, predict. SIMULATED cases."""

import csv
import shutil
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest
from fhir.resources.R4B.bundle import Bundle
from threadpoolctl import threadpool_limits

from clinic_mm.cohort.link import patient_key
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.predict.artifact import load_model
from clinic_mm.predict.seen import patient_hash
from clinic_mm.report.run import open_run
from clinic_mm.types import CaseRecord, Rejected
from tests.cli.terminal import run
from tests.conftest import Trained

NAMES = ("xray", "record", "note")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def cases(trained: Trained) -> dict[str, CaseRecord]:
    """By the source's own patient id."""
    cohort = open_cohort(trained.cohort)
    found = {case.patient_key: case for case in cohort.cases("label", modalities=NAMES)}
    with (trained.files / "labels.csv").open(encoding="utf-8") as file:
        ids = [row["patient_id"] for row in csv.DictReader(file)]
    return {one: found[patient_key(trained.key.read_bytes(), one)] for one in ids}


@pytest.fixture(scope="module")
def screened(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from clinic_mm.jobs.asked import ScreenOptions
    from clinic_mm.jobs.screen import screen_cohort

    out = tmp_path_factory.mktemp("e2e") / "run"
    screen_cohort(trained.model, trained.cohort, out, options=ScreenOptions(validate=False))
    return out


def _own_files(trained: Trained, case: CaseRecord, patient_id: str, into: Path) -> list[object]:
    """The options that give one case's evidence as paths; its FHIR rows are taken out of the shards."""
    roots = open_cohort(trained.cohort).roots
    words: list[object] = []
    for one in case.usable("xray"):
        words += [word for path in one.paths for word in ("--xray", roots[one.root] / path)]
    for shard in sorted((trained.files / "fhir").glob("*.ndjson")):
        own = [line for line in shard.read_text().splitlines() if patient_id in line]
        (into / shard.name).write_text("\n".join(own) + "\n")
    return words + [word for kind in ("record", "note") if case.usable(kind) for word in (f"--{kind}", into)]


def test_ingest_and_describe_say_who_has_what(trained: Trained, tmp_path: Path, capsys: Capture) -> None:
    said = run(capsys, "ingest", trained.files, "--out", tmp_path / "cohort", "--key", trained.key, "--json")
    assert said.code == 0
    told = said.json
    assert isinstance(told, dict)
    assert told["patients"] == told["cases"] == 64
    assert {"modality": "xray", "code": "time.after_decision", "findings": 2}.items() <= told["refused"][0].items()
    again = run(capsys, "describe", tmp_path / "cohort", "--target", "label", "--json").json
    assert isinstance(again, dict)
    assert sum(again["labels"].values()) == 64
    assert sum(pattern["cases"] for pattern in again["patterns"]) == 64


def test_describe_tells_how_well_modalities_can_be_told_from_each_other(trained: Trained, capsys: Capture) -> None:
    words = ("describe", trained.cohort, "--task", trained.task, "--workers", 1)
    said = run(capsys, *words, "--json")
    assert said.code == 0
    assert isinstance(said.json, dict)
    rows = {(row["source"], row["target"]): row for row in said.json["translations"]}
    assert len(rows) == 3 * 3
    for row in rows.values():
        assert 0 < row["n_cases"] < 64
        assert (row["r2"] is None) == (row["n_cases"] < 40), "too few cases have both: not judged, and said so"
    assert "Told from others" in run(capsys, *words).out


def test_the_same_seed_trains_the_same_model(trained: Trained, tmp_path: Path, capsys: Capture) -> None:
    words = ("train", trained.cohort, "--task", trained.task, "--out", tmp_path / "model", "--test-share", "0.4")
    with threadpool_limits(1):
        said = run(capsys, *words, "--json")
    assert said.code == 0
    assert isinstance(said.json, dict)
    assert said.json["model"] == trained.model_hash


def test_a_model_of_simulated_cases_says_so(trained: Trained) -> None:
    assert "SIMULATED" in (trained.model / "card.md").read_text(encoding="utf-8")


def test_evaluate_writes_tables_and_figures_of_every_subset(
    trained: Trained, cases: dict[str, CaseRecord], tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "evaluation"
    limit = ("--limit", trained.files / "limit.json")
    said = run(capsys, "evaluate", trained.model, trained.cohort, "--out", out, *limit, "--workers", 1, "--json")
    assert said.code == 0
    assert isinstance(said.json, dict)
    assert len(said.json["by_subset"]) == 7
    subsets = pd.read_csv(out / "by_subset.csv")
    assert (subsets["limit"].between(0.5, 1)).all()
    assert {path.name for path in out.glob("*.png")} == {
        "auc_per_pattern.png",
        "fairness.png",
        "fusion_gain.png",
        "modality_drop.png",
        "reliability.png",
        "reliability_by_pattern.png",
        "risk_coverage.png",
    }
    trained_on = set(load_model(trained.model)[0].facts["patients_sha256"])  # type: ignore[arg-type]
    fresh = sum(patient_hash(c.patient_key) not in trained_on and bool(c.pattern) for c in cases.values())
    told = orjson.loads((out / "evaluation.json").read_bytes())
    assert told["n_cases"] + told["n_without_evidence_or_label"] == fresh < 64


def test_nobody_is_scored_on_whom_it_was_trained(trained: Trained, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(trained.model, tmp_path / "model")
    with threadpool_limits(1):
        words = ("train", trained.cohort, "--task", trained.task, "--out", tmp_path / "model", "--json")
        assert run(capsys, *words, "--workers", 1).code == 0
    said = run(capsys, "evaluate", tmp_path / "model", trained.cohort, "--out", tmp_path / "evaluation", "--json")
    assert said.code == 7
    assert isinstance(said.json, dict)
    assert said.json["error"] == "LeakError"


def test_a_screened_case_and_the_same_files_by_hand_get_the_same_answer(
    trained: Trained, cases: dict[str, CaseRecord], screened: Path, tmp_path: Path, capsys: Capture
) -> None:
    stored = open_run(screened)
    # Not those of whom something was refused as unlike training: 3 in 100 may be.
    heard = dict(zip(stored.worklist()["case_key"], stored.worklist()["pattern"], strict=True))
    spoke = {i: c for i, c in cases.items() if heard.get(c.case_key) == "+".join(c.pattern)}
    whole = next((i, c) for i, c in spoke.items() if c.pattern == ("note", "record", "xray"))
    part = next((i, c) for i, c in spoke.items() if c.pattern == ("note", "record"))
    for patient_id, case in (whole, part):
        into = tmp_path / case.case_key
        into.mkdir()
        assert case.decision_time
        when = case.decision_time.isoformat()
        words = ("predict", trained.model, *_own_files(trained, case, patient_id, into), "--decision-time", when)
        said = run(capsys, *words, "--json")
        assert said.code == 0
        assert isinstance(said.json, dict)
        expected = stored.prediction(case.case_key)
        assert tuple(said.json["pattern"]) == expected.pattern == case.pattern
        for subset, probabilities in expected.subsets.items():
            np.testing.assert_allclose(said.json["subsets"][subset], probabilities, rtol=0, atol=1e-6)


def test_evidence_after_the_decision_is_refused_in_a_cohort_and_by_hand(
    trained: Trained, cases: dict[str, CaseRecord], capsys: Capture
) -> None:
    late = [
        (case, finding)
        for case in cases.values()
        for finding in case.evidence["xray"]
        if isinstance(finding, Rejected) and finding.code == "time.after_decision"
    ]
    assert late
    case, finding = late[0]
    assert finding.paths not in [one.paths for one in case.usable("xray")]
    assert case.decision_time
    paths = [open_cohort(trained.cohort).roots[finding.root] / path for path in finding.paths]
    given = [word for path in paths for word in ("--xray", path)]
    said = run(capsys, "predict", trained.model, *given, "--decision-time", case.decision_time.isoformat())
    assert said.code == 3
    assert "time.after_decision" in said.err


def test_reports_of_a_run_are_fhir_and_text_and_json(screened: Path, trained: Trained, capsys: Capture) -> None:
    work = open_run(screened).worklist()
    assert {path.stem for path in (screened / "reports").iterdir()} == set(work["case_key"])
    key = work["case_key"].iloc[0]
    bundle = run(capsys, "report", screened, key, "--format", "fhir")
    assert Bundle.model_validate_json(bundle.out).type == "collection"
    assert "SIMULATED" in bundle.out
    text = run(capsys, "report", screened, key).out
    assert text.startswith("SIMULATED")
    assert "Not a medical device" in text
    stored = run(capsys, "report", screened, key, "--json").json
    assert isinstance(stored, dict)
    assert stored["model_hash"] == trained.model_hash
    skipped = run(capsys, "report", screened, open_run(screened).skipped()["case_key"].iloc[0])
    assert skipped.code == 3
    assert "skipped" in skipped.err


def test_a_run_is_described_as_text_and_json(screened: Path, capsys: Capture) -> None:
    assert "answered" in run(capsys, "describe", screened).out
    told = run(capsys, "describe", screened, "--json").json
    assert isinstance(told, dict)
    assert told["counts"]["done"] == len(open_run(screened).worklist())


@pytest.mark.parametrize(
    ("words", "code", "said_of_it"),
    [
        ((), 2, "No evidence"),
        (("--evidence", "labs"), 2, "NAME=PATH"),
        (("--eeg", "a.edf"), 2, "does not know eeg"),
        (("--note", "note.txt", "--site-timezone", "Mars/Base"), 2, "time zone"),
        (("--note", "note.txt", "--decision-time", "soon"), 2, "not a time"),
        (("--note", "nowhere.txt"), 3, "no such file"),
        (("--note", "empty.txt"), 3, "note.empty"),
        (("--xray", "note.txt"), 3, "case.nothing_found"),
        (("--record", "note.txt"), 3, "case.nothing_found"),
        (("--xray", "empty.dcm"), 3, "file.empty"),
    ],
)
@pytest.mark.parametrize("json", [True, False])
def test_wrong_evidence_is_one_line_with_its_code(
    trained: Trained,
    words: tuple[str, ...],
    code: int,
    said_of_it: str,
    json: bool,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("note.txt").write_text("Short of breath.")
    Path("empty.txt").touch()
    Path("empty.dcm").touch()
    said = run(capsys, "predict", trained.model, *words, *(["--json"] if json else []))
    assert said.code == code
    assert len(said.lines) == 1
    assert said_of_it in said.err
    assert isinstance(said.json, dict) if json else said.out == ""


def test_one_usable_piece_is_enough_and_the_rest_is_named(
    trained: Trained, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("note.txt").write_text("Short of breath.")
    Path("empty.dcm").touch()
    fhir = tmp_path / "new" / "report.json"
    said = run(capsys, "predict", trained.model, "--note", "note.txt", "--xray", "empty.dcm", "--fhir", fhir)
    assert said.code == 0
    assert "file.empty" in said.out
    assert Bundle.model_validate_json(fhir.read_bytes()).entry


def test_a_changed_byte_in_a_model_is_found(trained: Trained, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained.model, folder)
    content = bytearray((folder / "heads.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "heads.safetensors").write_bytes(content)
    said = run(capsys, "predict", folder, "--note", trained.task)
    assert said.code == 6
    assert "heads.safetensors is not what was written" in said.err


def test_a_task_with_a_slip_is_refused_before_anything_is_read(
    trained: Trained, tmp_path: Path, capsys: Capture
) -> None:
    good = trained.task.read_text(encoding="utf-8")
    slips = {
        "size =": ("sze =", "did you mean 'size'"),
        '"xray"': ('"xrey"', "Did you mean 'xray'"),
        '"label"': ('"labell"', "Did you mean 'label'"),
        "binary": ("survival", "reserved"),
        'target = "': ("target = ", "not TOML"),
    }
    for right, (wrong, expected) in slips.items():
        (tmp_path / "task.toml").write_text(good.replace(right, wrong, 1), encoding="utf-8")
        said = run(capsys, "train", trained.cohort, "--task", tmp_path / "task.toml", "--out", tmp_path / "model")
        assert (said.code, len(said.lines)) == (4, 1)
        assert expected in said.err
    said = run(capsys, "train", trained.cohort, "--task", trained.task, "--out", trained.files)
    assert said.code == 6
    assert not (tmp_path / "model").exists()
