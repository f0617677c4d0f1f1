"""What a report says of the acts in a store: state by state, as they were signed."""

from pathlib import Path

import pytest

from clinic_mm.errors import InputError
from clinic_mm.jobs.report import reports_of
from clinic_mm.report.signed import UNSIGNED
from clinic_mm.store import Store
from clinic_mm.store.reported import signed_of
from tests.store.conftest import Clock, write_made_run

KEY = "c01"


def test_a_report_goes_from_preliminary_to_final_to_amended(store: Store, clock: Clock) -> None:
    assert signed_of(store.case(KEY)) == UNSIGNED
    ann = store.users.by_name("Ann").id
    file = store.begin(KEY, ann)
    file = store.opinion(KEY, ann, version=file.version, verdict="negative", sure=0.6)
    file = store.decide(KEY, ann, version=file.version, act="override", verdict="negative", reason="A nipple shadow")
    file = store.comment(KEY, ann, version=file.version, text="before")
    read = signed_of(file)
    assert (read.state, read.verdict, read.act, read.signer) == ("preliminary", "negative", "override", "")
    clock.later(minutes=5)
    file = store.sign(KEY, ann, version=file.version)
    final = signed_of(file)
    assert (final.state, final.signer, final.signed_at) == ("final", ann, clock.now)
    assert [one.text for one in final.comments] == ["before"]
    file = store.comment(KEY, ann, version=file.version, text="after")
    assert signed_of(file) == final, "what is said later does not change what was signed"
    clock.later(hours=1)
    file = store.amend(KEY, ann, version=file.version, verdict="positive", reason="Wrong side read")
    amended = signed_of(file)
    assert (amended.state, amended.verdict, amended.amendment_reason) == ("amended", "positive", "Wrong side read")
    assert amended.before == final
    file = store.amend(KEY, ann, version=file.version, verdict="negative", reason="Again")
    assert signed_of(file).before == amended


def test_the_command_reports_what_stands_in_the_store(store: Store, run: Path, tmp_path: Path) -> None:
    ann = store.users.by_name("Ann").id
    file = store.begin(KEY, ann)
    file = store.opinion(KEY, ann, version=file.version, verdict="positive", sure=0.6)
    shown = store.prediction(KEY, ann)
    assert shown
    file = store.decide(KEY, ann, version=file.version, act="accept", verdict=shown.decision)
    store.sign(KEY, ann, version=file.version)
    address = str(tmp_path / "room" / "store.sqlite")
    reports = reports_of(run, "text", store=address)
    assert f"FINAL: signed by {ann}" in reports.of_case(KEY).decode()
    assert "FINAL" not in reports.of_case("c02").decode()
    with pytest.raises(InputError, match="no such case"):
        reports.signed("stranger")


def test_a_signature_on_another_answer_is_never_printed_under_this_one(store: Store, run: Path, tmp_path: Path) -> None:
    ann = store.users.by_name("Ann").id
    file = store.begin(KEY, ann)
    file = store.opinion(KEY, ann, version=file.version, verdict="positive", sure=0.6)
    file = store.decide(KEY, ann, version=file.version, act="override", verdict="negative", reason="A nipple shadow")
    store.sign(KEY, ann, version=file.version)
    newer = write_made_run(tmp_path / "newer", {KEY: -0.5}, run_id="r2")
    reports = reports_of(newer, "fhir", store=str(tmp_path / "room" / "store.sqlite"))
    with pytest.raises(InputError, match="another answer"):
        reports.of_case(KEY)
