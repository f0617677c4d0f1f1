"""The terminal hides what monitoring hides, also where that was found after the run had been written."""

from pathlib import Path

import pytest

from clinic_mm.evaluate.monitor.state import write_state
from clinic_mm.report.run import write_run, write_shard
from tests.cli.terminal import run
from tests.dashboards.test_monitor import state_of, stop
from tests.report.predictions import made_up
from tests.report.silent import INFO, SHARES, leaked, telling

Capture = pytest.CaptureFixture[str]


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
