"""A tiny simulated cohort and a made-up run over it, shared by the tests of logic and of the browser."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.bundle import folder
from clinic_mm.cohort.ingest import ingest
from clinic_mm.predict.prediction import MissingEvidence, Prediction
from clinic_mm.report.run import Counts, ModelOf, RunInfo, write_run, write_shard, write_skipped
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.types import CaseRecord
from tests.report.predictions import ALL, flagged, made_up, rejected
from tests.signed_in import signed_in

SHARES = {"ct": 1.4, "eeg": -0.5, "note": 0.2, "record": 0.8, "xray": 0.9}
ABSTAINED = "Fewer than 20 calibration patients had this mix of evidence"
REFUSED = "4 of 48 slices are missing [a link](http://127.0.0.1/x) ![](http://127.0.0.1/y.png)"

Page = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def _main_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page under test becomes `__main__`; worker processes of later tests would run it once more."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="session")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four real (simulated) cases, one that abstains, and one whose case the cohort does not know."""
    base = tmp_path_factory.mktemp("dashboard")
    write_cohort(base / "files", cases=4, seed=5)
    cases = ingest(base / "files", base / "cohort", key=base / "key").cases()
    predictions = [_answered(case, abstained=ABSTAINED if at == 1 else "") for at, case in enumerate(cases)]
    predictions.append(made_up("stranger", {"record": -1.0}, (rejected("ct", REFUSED, "ct.missing_slices"),)))
    run = base / "run"
    write_shard(predictions, run / "shards" / "part-00000.parquet")
    write_skipped([{"case_key": "k9", "status": "skipped", "modality": "", "code": "", "why": "nothing usable"}], run)
    write_run(_info(len(predictions)), run)
    return run


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reading room, shared by tests of pages."""
    return tmp_path_factory.mktemp("room") / "home"


@pytest.fixture
def page(made_run: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """Open one page of the app, as Streamlit would, for a signed-in person: `page("case", case="…")`."""
    app = folder("dashboards")

    def opened(view: str = "worklist", **query: str) -> AppTest:
        test = AppTest.from_file(str(app / "app.py"), default_timeout=60)
        for name, value in query.items():
            test.query_params[name] = value
        if view != "worklist":
            test.switch_page(f"views/{view}.py")
        return test.run()

    with signed_in(monkeypatch, home, made_run):
        monkeypatch.setenv("CLINIC_MM_SITE", str(answers_open(home)))
        yield opened


def answers_open(home: Path) -> Path:
    """Settings of a site that seals nothing: most tests here are about the answer, test_reading.py about the seal."""
    path = home.parent / "answers_open.toml"
    path.write_text("read_first = false\n")
    return path


def _answered(case: CaseRecord, abstained: str) -> Prediction:
    shares = {name: SHARES[name] for name in case.pattern}
    missing = tuple(MissingEvidence(modality=name, status="absent") for name in ALL if name not in shares)
    found = made_up(case.case_key, shares, missing, abstained, (flagged(),) if "ct" in shares else ())
    return found.model_copy(update={"decision_time": case.decision_time, "patient_key": case.patient_key})


def _info(done: int) -> RunInfo:
    return RunInfo(
        run_id="r1",
        model=ModelOf(path="model", hash="a" * 64, name="demo", version="0.1.0"),
        cohort="../cohort",
        target="disease",
        classes=("negative", "positive"),
        modalities={name: name for name in ("ct", "xray", "eeg", "record", "note")},
        counts=Counts(done=done, skipped=1),
        simulated=True,
        finished_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    )
