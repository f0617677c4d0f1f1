"""The terminal hides what monitoring hides, also where that was found after the run had been written."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from clinic_mm.evaluate.monitor.state import write_state
from clinic_mm.jobs import ledger
from clinic_mm.jobs.spec import JobSpec, write_spec
from clinic_mm.jobs.unit import Answered, CaseRow
from clinic_mm.report.run import write_run, write_shard, write_skipped
from clinic_mm.report.run_info import Counts
from tests.cli.terminal import run
from tests.dashboards.test_monitor import state_of, stop
from tests.report.predictions import made_up
from tests.report.silent import INFO, SHARES, leaked, telling

Capture = pytest.CaptureFixture[str]
NOW = datetime.now(UTC)


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    found = telling(made_up("c1", SHARES))
    write_shard([found, telling(made_up("c2", {"record": 0.1}))], tmp_path / "shards" / "part-00000.parquet")
    write_run(INFO, tmp_path)
    write_state(state_of(stop("modality", "ct")), tmp_path)
    return tmp_path


def test_a_report_of_a_hidden_answer_has_its_reason_and_no_number(watched: Path, capsys: Capture) -> None:
    said = run(capsys, "report", watched, "c1")
    assert said.code == 0
    assert "hidden by monitoring" in said.out
    assert leaked(telling(made_up("c1", SHARES)), said.out) == []
    assert "0." in run(capsys, "report", watched, "c2").out
    assert run(capsys, "report", watched, "c1", "--json").json["withheld"]


def test_the_description_of_a_run_leaves_hidden_answers_out(watched: Path, capsys: Capture) -> None:
    said = run(capsys, "describe", watched)
    assert "Hidden by monitoring: 1 " in said.out
    assert "c1" not in said.out
    assert "c2" in said.out


def test_a_run_that_was_resumed_and_cut_off_is_counted_from_its_ledger_alone(watched: Path, capsys: Capture) -> None:
    write_run(INFO.model_copy(update={"counts": Counts(done=7)}), watched)
    write_spec(
        JobSpec(run_id="r1", model="m", model_hash="a" * 64, cohort="c", cohort_hash="b", created_at=NOW), watched
    )
    row = CaseRow("c1", "done", silent=False, urgency=0.5, pattern="ct", reason="", whys=())
    with ledger.opened(watched) as book:
        with book.commit() as db:
            rows = [(key, at, "h", at) for at, key in enumerate(("c1", "c2", "c3"))]
            db.executemany("INSERT INTO cases (case_key, place, input_hash, unit) VALUES (?, ?, ?, ?)", rows)
            book.note("unfinished", "1")
        book.record([(Answered(0, (row,), None, 0.1), "m", "s")], [])
    said = run(capsys, "describe", watched).out
    assert "1 of 3 cases have an end; 1 answered" in said
    assert "7 answered" not in said
    assert run(capsys, "describe", watched, "--json").json["counts"]["done"] == 1


def test_skipped_studies_are_told_by_their_code_with_the_commonest_words(watched: Path, capsys: Capture) -> None:
    words = ["4 of 48 slices are missing", "2 of 40 slices are missing", "4 of 48 slices are missing"]
    rejected = [
        {"case_key": f"s{at}", "status": "rejected", "modality": "ct", "code": "ct.gap", "why": why}
        for at, why in enumerate(words)
    ]
    absent = {"case_key": "s9", "status": "absent", "modality": "eeg", "code": "", "why": "Never acquired"}
    write_skipped([*rejected, absent], watched)
    said = run(capsys, "describe", watched).out.splitlines()
    assert said[said.index("Skipped, by reason:") + 1 :][:2] == [
        "      1  eeg absent: Never acquired",
        "      3  ct rejected: 4 of 48 slices are missing (and 1 more like it)",
    ]
