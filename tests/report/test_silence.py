"""Where no answer is given or shown, no text, report or list holds a number that would tell it."""

from pathlib import Path

import pytest

from clinic_mm.report.card import as_text
from clinic_mm.report.describe import run_as_text
from clinic_mm.report.fhir import report_bytes
from clinic_mm.report.run import open_run, write_run, write_shard
from tests.report.predictions import made_up
from tests.report.silent import HIDDEN, INFO, REASON, SHARES, leaked, telling
from tests.report.test_fhir import report


@pytest.mark.parametrize("why", [REASON, HIDDEN, {**REASON, **HIDDEN}], ids=["abstained", "withheld", "both"])
def test_card_and_fhir_report_tell_the_reason_and_no_number(why: dict[str, str]) -> None:
    full = made_up(shares=SHARES)
    silent = telling(full, **why)
    for shown in (as_text(silent), report_bytes(report(silent, validate=True)).decode()):
        assert leaked(silent, shown) == []
        assert next(reversed(why.values())) in shown
    answered = telling(full)
    assert all(leaked(answered, shown) for shown in (as_text(answered), report_bytes(report(answered)).decode()))


def test_the_head_of_a_run_holds_only_answers_that_are_given_and_shown(tmp_path: Path) -> None:
    silent = telling(made_up("c1", SHARES), **REASON)
    hidden = telling(made_up("c2", {"ct": 2.0, "eeg": 1.0}))
    given = telling(made_up("c3", {"record": 0.1}))
    write_shard([silent, hidden, given], tmp_path / "shards" / "part-00000.parquet")
    write_run(INFO, tmp_path)
    told = run_as_text(open_run(tmp_path), lambda pattern: "why" if "ct" in pattern and "note" not in pattern else "")
    assert "Hidden by monitoring: 1" in told
    assert "c3" in told
    assert leaked(given, told)
    assert "c1" not in told
    assert "c2" not in told
